/** ssh key generate: makes a key pair. */
import { hostname } from "node:os";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { localUser } from "../../../core/runtime-compat.ts";
import { generateKey, keyTypes } from "../../../core/ssh/key/generate.ts";
import { askNewPassphrase, newPassphrase, passphraseValues } from "../../../core/ssh/key/passphrase.ts";
import { homeFolder, keyPath } from "../../../core/ssh/key/places.ts";
import { fingerprint } from "../../../core/ssh/known-hosts.ts";

const input = z.strictObject({
  file: z.string().min(1).optional().describe("where it goes; else ~/.ssh/id_ed25519, or what its type is called"),
  type: z.enum(keyTypes).default("ed25519").describe("kind of key; rsa only for servers that know nothing better"),
  bits: z.number().int().optional().describe("of rsa (4096) and ecdsa (256)"),
  comment: z
    .string()
    .regex(/^[^\r\n]*$/, "is more than one line")
    .optional()
    .describe("else user@host of this machine"),
  ...newPassphrase,
});

const output = z.object({
  path: z.string(),
  public: z.string().describe("the line of the .pub file"),
  type: z.string(),
  bits: z.number().int(),
  fingerprint: z.string(),
  encrypted: z.boolean(),
});

export const command = defineCommand({
  name: "ssh key generate",
  summary: "Make a key to log in with",
  description: `Writes FILE (readable by you alone) and FILE.pub, in the format of OpenSSH. At a terminal it asks for a passphrase; elsewhere say --passphrase, --passphrase-file or --without-passphrase. A passphrase that the vault keeps as key:FILE is not asked for when the key is used. The private half is never shown.`,
  examples: [
    { line: "ami-node ssh key generate", says: "~/.ssh/id_ed25519, asks for a passphrase" },
    { line: "ami-node ssh key generate ./deploy --without-passphrase --comment deploy@ci", says: "for a machine" },
    { line: "ami-node ssh key generate --passphrase vault:laptop", says: "protected by what the vault keeps" },
    { line: "ami-node ssh key generate --type rsa", says: "4096 bits, for old servers" },
  ],
  input,
  args: {
    positional: ["file"],
    short: { type: "t", bits: "b", comment: "c" },
    values: { file: "FILE", comment: "TEXT", ...passphraseValues },
  },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  run: generate,
  text: (made) =>
    `${made.path}${made.encrypted ? "" : " (no passphrase)"}\n${made.public}\n${made.bits} ${made.fingerprint}`,
});

async function generate(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const path = wish.file === undefined ? join(homeFolder(), ".ssh", `id_${wish.type}`) : keyPath(wish.file);
  for (const file of [path, `${path}.pub`]) {
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (isThere) {
      await ctx.confirm(`${file} is there already. Replace the key? What only it opens is then closed to you.`);
      break;
    }
  }
  const passphrase = await askNewPassphrase(wish, path, ctx);
  const comment = wish.comment ?? `${localUser().name}@${hostname()}`;
  const { type, bits, blob, line } = await generateKey(path, { type: wish.type, bits: wish.bits, comment, passphrase });
  return {
    output: { path, public: line, type, bits, fingerprint: fingerprint(blob), encrypted: passphrase !== undefined },
  };
}
