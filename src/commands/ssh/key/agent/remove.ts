/** ssh key agent remove: has the running agent forget keys. */
import { z } from "zod";
import { type Context, defineCommand } from "../../../../core/command.ts";
import { AmiError } from "../../../../core/errors.ts";
import { type HeldKey, agentSocket, talkToAgent } from "../../../../core/ssh/agent-talk.ts";
import { keyPath, publicHalf } from "../../../../core/ssh/key/places.ts";
import { readKeyFile } from "../../../../core/ssh/keys.ts";
import { fingerprint } from "../../../../core/ssh/known-hosts.ts";

const input = z.strictObject({
  key: z.array(z.string().min(1)).default([]).describe("files, fingerprints (SHA256:...) or comments of keys it holds"),
  all: z.boolean().default(false).describe("every key"),
});

const output = z.object({
  removed: z.array(z.object({ type: z.string(), fingerprint: z.string(), comment: z.string() })),
});

export const command = defineCommand({
  name: "ssh key agent remove",
  summary: "Have the agent forget keys",
  description: `The files stay. Certificates of a key are forgotten with it.`,
  examples: [
    { line: "ami-node ssh key agent remove ~/.ssh/prod", says: "the key of a file" },
    { line: "ami-node ssh key agent remove --all", says: "every key" },
  ],
  input,
  args: { positional: ["key"], values: { key: "KEY" } },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  exits: { 6: "no agent answers, or it refuses" },
  run: remove,
  text: ({ removed }) =>
    removed.length === 0
      ? "the agent held no keys"
      : removed.map((key) => `${key.type} ${key.fingerprint} ${key.comment}`).join("\n"),
});

async function remove(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  if (wish.all === wish.key.length > 0) {
    throw new AmiError("usage.input", wish.all ? "--all and single keys exclude each other" : "no key is named", {
      hint: "name keys by file, fingerprint or comment, or say --all",
    });
  }
  const agent = talkToAgent(agentSocket(process.env), ctx.signal);
  const held = await agent.list();
  const told = (key: HeldKey) => ({ type: key.type, fingerprint: fingerprint(key.blob), comment: key.comment });
  if (wish.all) {
    await agent.removeAll();
    return { output: { removed: held.map(told) } };
  }
  const chosen: HeldKey[] = [];
  for (const word of wish.key) chosen.push(...(await named(word, held)));
  for (const key of chosen) await agent.remove(key.blob);
  return { output: { removed: chosen.map(told) } };
}

/** Rejects with `usage.input` when the agent holds nothing of that name. */
async function named(word: string, held: readonly HeldKey[]): Promise<HeldKey[]> {
  const file = publicHalf(await readKeyFile(keyPath(word)));
  const found = held.filter((key) =>
    file === undefined
      ? fingerprint(key.blob) === word || key.comment === word
      : key.blob.equals(file.blob) || isCertificateOf(key, file.blob),
  );
  if (found.length > 0) return found;
  throw new AmiError("usage.input", `the agent holds no key ${JSON.stringify(word)}`, {
    hint: "see what it holds: ami-node ssh key agent list",
  });
}

/** A certificate begins with its type and a nonce; then come the numbers of the key. */
function isCertificateOf(held: HeldKey, blob: Buffer): boolean {
  if (!held.type.includes("-cert-")) return false;
  const numbers = blob.subarray(4 + blob.readUInt32BE(0));
  return held.blob.includes(numbers);
}
