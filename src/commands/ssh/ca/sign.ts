/** ssh ca sign: certifies a key. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { AmiError } from "../../../core/errors.ts";
import {
  type CertificateWish,
  readCertificate,
  signCertificate,
  usualExtensions,
} from "../../../core/ssh/key/certificate.ts";
import { publicLine } from "../../../core/ssh/key/generate.ts";
import { knownPassphrase, openPrivateKey, passphraseValues } from "../../../core/ssh/key/passphrase.ts";
import { homeFolder, keyPath } from "../../../core/ssh/key/places.ts";
import { readPublicKey } from "../../../core/ssh/key/public-line.ts";
import { replaceFile } from "../../../core/ssh/key/replace.ts";
import { exists } from "../../../core/ssh/key/rotation.ts";
import { readValidity } from "../../../core/ssh/key/validity.ts";
import { fingerprint } from "../../../core/ssh/known-hosts.ts";

const named = /^[a-z0-9@.-]+(=.*)?$/i;

const input = z.strictObject({
  key: z.string().min(1).describe("the key to certify, or its .pub file"),
  ca: z.string().min(1).optional().describe("private key of the CA; else ~/.ssh/ca"),
  host: z.boolean().default(false).describe("it is the key of a host, not of a user"),
  principal: z
    .array(
      z
        .string()
        .min(1)
        .regex(/^[^,\s]+(,[^,\s]+)*$/, "is no name"),
    )
    .default([])
    .describe("login names that it is good for, or names of the host"),
  anyPrincipal: z.boolean().default(false).describe("good for every name: nearly never what you want"),
  valid: z
    .string()
    .refine((text) => wrongTime(text) === undefined, { error: (issue) => wrongTime(issue.input) ?? "is no time" })
    .default("+52w")
    .describe("how long, as in +52w, -1d:+4w, 20260101:20261231 or always:forever"),
  id: z
    .string()
    .min(1)
    .optional()
    .describe("name of the certificate in the logs of servers; else the comment of the key"),
  serial: z
    .string()
    .regex(/^\d{1,20}$/, "is no number")
    .optional()
    .describe("number to revoke it by; else a random one"),
  option: z
    .array(z.string().regex(named, "is no option"))
    .default([])
    .describe("what limits it, as in force-command=/usr/bin/backup or source-address=10.0.0.0/8"),
  extension: z
    .array(z.string().regex(named, "is no extension"))
    .default([])
    .describe("what it permits, as in permit-pty; else all that ssh-keygen permits, and for a host nothing"),
  bare: z.boolean().default(false).describe("permit nothing beyond running commands: no terminal, no forwarding"),
  out: z.string().min(1).optional().describe("file of the certificate; else KEY-cert.pub beside the key"),
  ...knownPassphrase,
});

const output = z.object({
  path: z.string(),
  type: z.string(),
  kind: z.enum(["user", "host"]),
  id: z.string(),
  serial: z.string(),
  principals: z.array(z.string()).readonly().describe("empty: any"),
  after: z.string(),
  before: z.string().describe("`forever` when it has no end"),
  critical: z.record(z.string(), z.string()),
  extensions: z.record(z.string(), z.string()),
  fingerprint: z.string().describe("of the key"),
  ca: z.string().describe("fingerprint of the CA"),
});

export const command = defineCommand({
  name: "ssh ca sign",
  summary: "Certify a key",
  description: `Writes a certificate that OpenSSH takes: for a user beside the private key, where ssh finds it by itself; for a host into the file that HostCertificate of its sshd_config names. The key itself is only read, and may be somebody else's .pub file.`,
  examples: [
    {
      line: "ami-node ssh ca sign ~/.ssh/id_ed25519 --principal deploy --valid +4w",
      says: "log in as deploy for four weeks",
    },
    { line: "ami-node ssh ca sign web1.pub --host --principal web1.example.com --principal web1", says: "a host" },
    {
      line: "ami-node ssh ca sign backup.pub --principal backup --option force-command=/usr/bin/backup --bare",
      says: "for one purpose only",
    },
  ],
  input,
  args: {
    positional: ["key"],
    short: { principal: "n", valid: "V", id: "I" },
    values: {
      key: "KEY",
      ca: "FILE",
      principal: "NAME",
      valid: "TIME",
      id: "NAME",
      serial: "N",
      option: "NAME[=VALUE]",
      extension: "NAME[=VALUE]",
      out: "FILE",
      ...passphraseValues,
    },
  },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  run: sign,
  text: (made) =>
    [
      `${made.path}`,
      `${made.kind} certificate "${made.id}", serial ${made.serial}`,
      `good for ${made.principals.length === 0 ? "any name" : made.principals.join(", ")}`,
      `from ${made.after} to ${made.before}`,
      ...Object.entries(made.critical).map(([name, value]) => `only ${name}${value === "" ? "" : ` ${value}`}`),
      `signed by ${made.ca}`,
    ].join("\n"),
});

function wrongTime(text: unknown): string | undefined {
  const read = typeof text === "string" ? readValidity(text) : "is no time";
  return typeof read === "string" ? read : undefined;
}

async function sign(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  if (wish.principal.length === 0 && !wish.anyPrincipal) {
    throw new AmiError("usage.input", "who is it for? A certificate without a name is good for every user or host", {
      hint: "name them with --principal, or say --any-principal",
    });
  }
  const path = keyPath(wish.key);
  const key = await readPublicKey(path);
  const ca = await openPrivateKey(
    wish.ca === undefined ? join(homeFolder(), ".ssh", "ca") : keyPath(wish.ca),
    wish,
    ctx,
  );
  const out = wish.out === undefined ? `${path.replace(/\.pub$/, "")}-cert.pub` : keyPath(wish.out);
  if (wish.out !== undefined && (await exists(out))) await ctx.confirm(`${out} is there already. Replace it?`);
  const certificate = certified(() => signCertificate(key, ca, wishOf(wish, key.comment || path)));
  await replaceFile(out, `${publicLine(certificate.type, certificate.blob, key.comment)}\n`, 0o644);
  const made = readCertificate(certificate.blob);
  return {
    output: {
      path: out,
      type: made.type,
      kind: made.kind,
      id: made.keyId,
      serial: String(made.serial),
      principals: made.principals,
      after: momentText(made.after),
      before: made.before === "forever" ? "forever" : momentText(made.before),
      critical: made.critical,
      extensions: made.extensions,
      fingerprint: fingerprint(key.blob),
      ca: fingerprint(ca.blob),
    },
  };
}

function wishOf(wish: z.output<typeof input>, name: string): CertificateWish {
  const validity = readValidity(wish.valid);
  if (typeof validity === "string") throw new AmiError("usage.input", validity);
  const serial = wish.serial === undefined ? randomBytes(8).readBigUInt64BE() >> 1n : BigInt(wish.serial);
  if (serial >= 2n ** 64n) throw new AmiError("usage.input", "a serial number has at most 64 bits");
  const usual = wish.host || wish.bare ? {} : usualExtensions;
  return {
    kind: wish.host ? "host" : "user",
    serial,
    keyId: wish.id ?? name,
    principals: wish.principal.flatMap((names) => names.split(",")),
    ...validity,
    critical: pairs(wish.option),
    extensions: wish.extension.length > 0 ? pairs(wish.extension) : usual,
  };
}

function pairs(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const equals = word.indexOf("=");
      return equals < 0 ? [word, ""] : [word.slice(0, equals), word.slice(equals + 1)];
    }),
  );
}

function certified<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new AmiError("usage.input", error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** In the time of this machine, as ssh-keygen -L shows it. */
function momentText(seconds: number): string {
  if (seconds === 0) return "always";
  const date = new Date(seconds * 1000);
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
