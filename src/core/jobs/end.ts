/** End: signals, stops and removes jobs. */
import { randomBytes } from "node:crypto";
import type { Exit, Host } from "../host.ts";
import { removeProgram, signalProgram } from "./far.ts";
import { absentJob, askFar, jobExit } from "./job.ts";

/** To all processes of the job. One that has ended gets none. Rejects with `job.absent`. */
export async function signalJob(host: Host, id: string, signal: "INT" | "TERM", abort: AbortSignal): Promise<void> {
  const nonce = randomBytes(9).toString("hex");
  const said = await askFar(host, nonce, signalProgram(nonce, id, signal), { signal: abort });
  if (said.startsWith("absent")) throw absentJob(id, host.name);
}

export interface Stopped {
  /** `killed`: it did not end in its time of grace. */
  readonly how: "ended before" | "stopped" | "killed";
  /** Absent when its runner was gone. */
  readonly exit?: Exit | undefined;
}

/** TERM to the whole of it, and KILL to what is left after `grace` milliseconds. Rejects with `job.absent`. */
export async function stopJob(host: Host, id: string, grace: number, signal: AbortSignal): Promise<Stopped> {
  const nonce = randomBytes(9).toString("hex");
  const said = await askFar(host, nonce, signalProgram(nonce, id, "TERM", grace), { signal });
  const [word, code = ""] = said.trim().split(" ");
  if (word === "absent") throw absentJob(id, host.name);
  const how = word === "ended" ? "ended before" : word === "killed" ? "killed" : "stopped";
  return { how, exit: /^\d+$/.test(code) ? jobExit(Number(code)) : undefined };
}

export type Removal = "removed" | "running" | "absent" | "kept";

/** What became of each, in their order; `kept`: its folder cannot be deleted. Those that run are left alone. */
export async function removeJobs(host: Host, ids: readonly string[], signal: AbortSignal): Promise<readonly Removal[]> {
  if (ids.length === 0) return [];
  const nonce = randomBytes(9).toString("hex");
  const said = await askFar(host, nonce, removeProgram(nonce, ids), { signal });
  const found = new Map(
    `@${nonce} ${said}`
      .split("\n")
      .filter((line) => line.startsWith(`@${nonce} `))
      .map((line) => line.split(" "))
      .map(([, id = "", word = ""]) => [id, word]),
  );
  return ids.map((id) => removalOf(found.get(id)));
}

function removalOf(word: string | undefined): Removal {
  return word === "removed" || word === "running" || word === "absent" ? word : "kept";
}
