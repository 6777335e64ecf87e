/** ssh key agent add: gives keys to the running agent. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { type Context, defineCommand } from "../../../../core/command.ts";
import { parseDuration } from "../../../../core/duration.ts";
import { agentSocket, talkToAgent } from "../../../../core/ssh/agent-talk.ts";
import { knownPassphrase, openPrivateKey, passphraseValues } from "../../../../core/ssh/key/passphrase.ts";
import { keyPath, usualKey } from "../../../../core/ssh/key/places.ts";
import { readPublicLine } from "../../../../core/ssh/keys.ts";
import { fingerprint } from "../../../../core/ssh/known-hosts.ts";

const input = z.strictObject({
  file: z.array(z.string().min(1)).default([]).describe("private keys; else the first usual one in ~/.ssh"),
  lifetime: z
    .string()
    .refine((text) => (parseDuration(text) ?? 0) >= 1000, "is no time, as in 8h or 30m")
    .optional()
    .describe("the agent forgets the key after so long, as in 8h"),
  confirm: z.boolean().default(false).describe("the agent asks before each use (it needs ssh-askpass for that)"),
  ...knownPassphrase,
});

const output = z.object({
  keys: z.array(
    z.object({ path: z.string(), type: z.string(), fingerprint: z.string(), certificate: z.string().optional() }),
  ),
});

export const command = defineCommand({
  name: "ssh key agent add",
  summary: "Give keys to the agent",
  description: `The agent keeps the key unlocked in memory and signs with it; a certificate beside the key (FILE-cert.pub) goes along. A key that it holds already takes the new time and confirmation.`,
  examples: [
    { line: "ami-node ssh key agent add", says: "the usual key" },
    {
      line: "ami-node ssh key agent add ~/.ssh/prod --lifetime 8h --confirm",
      says: "for a working day, asked each time",
    },
  ],
  input,
  args: { positional: ["file"], values: { file: "FILE", lifetime: "TIME", ...passphraseValues } },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  exits: { 6: "no agent answers, or it refuses" },
  run: add,
  text: ({ keys }) =>
    keys
      .map((key) => `${key.path}: ${key.fingerprint}${key.certificate === undefined ? "" : " and its certificate"}`)
      .join("\n"),
});

async function add(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const agent = talkToAgent(agentSocket(process.env), ctx.signal);
  // Before anything is asked: is there somebody to give it to?
  await agent.list();
  const paths = wish.file.length > 0 ? wish.file.map((path) => keyPath(path)) : [await usualKey()];
  const lifetime = wish.lifetime === undefined ? undefined : Math.round((parseDuration(wish.lifetime) ?? 0) / 1000);
  const keys: z.output<typeof output>["keys"] = [];
  for (const path of paths) {
    const key = await openPrivateKey(path, wish, ctx);
    const comment = commentOf(await readFile(`${path}.pub`, "utf8").catch(() => "")) ?? path;
    const options = { comment, lifetime, confirm: wish.confirm };
    await agent.add(key.object(), options);
    const certificate = readPublicLine(await readFile(`${path}-cert.pub`, "latin1").catch(() => ""));
    if (certificate !== undefined) await agent.add(key.object(), { ...options, certificate: certificate.blob });
    keys.push({
      path,
      type: key.type,
      fingerprint: fingerprint(key.blob),
      ...(certificate === undefined ? {} : { certificate: `${path}-cert.pub` }),
    });
  }
  return { output: { keys } };
}

function commentOf(line: string): string | undefined {
  const comment = line.trim().split(/\s+/).slice(2).join(" ");
  return comment === "" ? undefined : comment;
}
