/** Keys at hand: what we could log in with, without asking anybody: open key files and what the agent holds. */
import type { LoginKey } from "../../command.ts";
import { agentKeys } from "../agent.ts";
import { readKeyFile } from "../keys.ts";

/** Each key once. An agent that does not answer holds nothing. */
export async function keysAtHand(files: readonly string[], agent: string | undefined): Promise<LoginKey[]> {
  const read = await Promise.all(files.map((path) => readKeyFile(path)));
  const held = agent === undefined ? [] : await agentKeys(agent).catch(() => []);
  const found: LoginKey[] = [];
  for (const key of [...read.filter((file) => file.state === "ready"), ...held]) {
    if (!found.some((other) => other.blob.equals(key.blob))) found.push(key);
  }
  return found;
}
