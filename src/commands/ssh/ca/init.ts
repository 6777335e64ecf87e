/** ssh ca init: makes the key of a certificate authority. */
import { join } from "node:path";
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { AmiError } from "../../../core/errors.ts";
import { generateKey, keyTypes } from "../../../core/ssh/key/generate.ts";
import { askNewPassphrase, newPassphrase, passphraseValues } from "../../../core/ssh/key/passphrase.ts";
import { homeFolder, keyPath } from "../../../core/ssh/key/places.ts";
import { exists } from "../../../core/ssh/key/rotation.ts";
import { fingerprint } from "../../../core/ssh/known-hosts.ts";

const input = z.strictObject({
  file: z.string().min(1).optional().describe("where its private key goes; else ~/.ssh/ca"),
  type: z.enum(keyTypes).default("ed25519").describe("kind of key"),
  bits: z.number().int().optional().describe("of rsa (4096) and ecdsa (256)"),
  comment: z
    .string()
    .regex(/^[^\r\n]*$/, "is more than one line")
    .default("ca")
    .describe("what it is called"),
  ...newPassphrase,
});

const output = z.object({ path: z.string(), public: z.string(), fingerprint: z.string(), encrypted: z.boolean() });

export const command = defineCommand({
  name: "ssh ca init",
  summary: "Make a certificate authority",
  description: `A CA is a key that signs others, so that servers trust every user that it signed, and users every host, without a line for each. Keep its private key where nobody else gets at it, and protect it with a passphrase: whoever has it can log in everywhere.

Servers trust it with "TrustedUserCAKeys FILE.pub" in sshd_config; users trust it for hosts with a line "@cert-authority *.example.com KEY" in known_hosts.`,
  examples: [
    { line: "ami-node ssh ca init", says: "~/.ssh/ca, asks for a passphrase" },
    { line: "ami-node ssh ca init /srv/ca/users --comment 'users 2026'", says: "in another place" },
  ],
  input,
  args: { positional: ["file"], values: { file: "FILE", ...passphraseValues } },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  run: init,
  text: (made) =>
    [
      `${made.path}${made.encrypted ? "" : " (no passphrase)"}`,
      made.public,
      made.fingerprint,
      "",
      `users:  put ${made.path}.pub on each server, and into its sshd_config: TrustedUserCAKeys /etc/ssh/ca.pub`,
      `hosts:  put into known_hosts: @cert-authority * ${made.public}`,
    ].join("\n"),
});

async function init(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const path = wish.file === undefined ? join(homeFolder(), ".ssh", "ca") : keyPath(wish.file);
  if ((await exists(path)) || (await exists(`${path}.pub`))) {
    throw new AmiError(
      "usage.input",
      `${path} is there already, and a CA is not replaced: all that it signed would be void`,
      {
        hint: "name another file, or move it away",
      },
    );
  }
  const passphrase = await askNewPassphrase(wish, path, ctx);
  const made = await generateKey(path, { type: wish.type, bits: wish.bits, comment: wish.comment, passphrase });
  return {
    output: { path, public: made.line, fingerprint: fingerprint(made.blob), encrypted: passphrase !== undefined },
  };
}
