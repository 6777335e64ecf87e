/** ssh key install: lets a key in on targets. */
import { z } from "zod";
import { act } from "../../../core/act.ts";
import { type Context, defineCommand } from "../../../core/command.ts";
import { AmiError, errorJson } from "../../../core/errors.ts";
import { errorSchema } from "../../../core/report.ts";
import { changeAuthorized } from "../../../core/ssh/key/authorized.ts";
import { readKeyLine, readKeyLines, withKey } from "../../../core/ssh/key/lines.ts";
import { keyPath, usualKey } from "../../../core/ssh/key/places.ts";
import { readPublicKey } from "../../../core/ssh/key/public-line.ts";
import { fingerprint } from "../../../core/ssh/known-hosts.ts";
import type { Target } from "../../../core/targets.ts";

const input = z.strictObject({
  key: z.array(z.string().min(1)).default([]).describe("the key, or its .pub file; else the first usual one in ~/.ssh"),
  options: z
    .string()
    .regex(/^[^\r\n]+$/, "is not one line")
    .optional()
    .describe(`what the key may do there, as in 'from="10.0.0.0/8",no-pty'`),
  file: z.string().min(1).optional().describe("the file of keys there, where sshd reads another one"),
});

const output = z.object({
  keys: z.array(z.object({ type: z.string(), fingerprint: z.string(), comment: z.string() })),
  hosts: z.array(
    z.object({
      host: z.string(),
      path: z.string().optional(),
      added: z.number().int().optional().describe("lines that were not there before"),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh key install",
  summary: "Let a key in on targets",
  description: `Adds the line of the public key to ~/.ssh/authorized_keys of the user there, once, as ssh-copy-id does: a key that is there already keeps its line and its options. The file appears whole or not at all; folder and file get the modes that sshd wants (0700, 0600) and, where there is SELinux, their labels.

Log in for this with a password (asked for at a terminal), another key, or as root with --become=USER.`,
  examples: [
    { line: "ami-node ssh key install user@host", says: "the usual key" },
    { line: "ami-node ssh key install web1 web2 --key ./deploy.pub", says: "another one, on two hosts" },
    {
      line: `ami-node ssh key install web1 --key backup.pub --options 'command="/usr/bin/backup",restrict'`,
      says: "for one purpose only",
    },
  ],
  input,
  args: { targetWord: "many", values: { key: "FILE", options: "OPTIONS", file: "REMOTE" } },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  targets: "settings",
  exits: { 3: "several targets, and at least one failed", 4: "no target could be reached" },
  run: install,
});

async function install(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const paths = wish.key.length > 0 ? wish.key.map((path) => keyPath(path)) : [await usualKey()];
  const keys = await Promise.all(paths.map(readPublicKey));
  const lines = keys.map((key) => withOptions(key.text.trim(), wish.options));
  const what = keys.map((key) => fingerprint(key.blob)).join(", ");
  const { fans, exit } = await act(ctx, { title: `install ${what}`, work });
  return {
    output: {
      keys: keys.map(({ type, blob, comment }) => ({ type, fingerprint: fingerprint(blob), comment })),
      hosts: fans.map((fan) => ({
        host: fan.target.name,
        ...(fan.state === "done" ? fan.value : { error: errorJson(fan.error) }),
      })),
    },
    exit,
  };

  async function work(target: Target, signal: AbortSignal): Promise<{ path: string; added: number }> {
    const host = await ctx.hosts.open(target, { signal });
    const place = { file: wish.file, signal };
    const { path, before, after, problem } = await changeAuthorized(host, place, (text) => lines.reduce(withKey, text));
    const added = readKeyLines(after).length - readKeyLines(before).length;
    const text = added === 0 ? `${path}: it is there already` : `${path}: ${added === 1 ? "added" : `${added} added`}`;
    ctx.events.emit({ kind: "note", host: target.name, level: "info", text });
    for (const print of widerKeys(before, lines, wish.options)) {
      const words = `the key ${print} is there already, and not under ${wish.options}: revoke it first, or edit ${path}`;
      ctx.events.emit({ kind: "note", host: target.name, level: "warn", text: words });
    }
    if (problem !== undefined) ctx.events.emit({ kind: "note", host: target.name, level: "warn", text: problem });
    return { path, added };
  }
}

/** Keys that stood there before under other options than are asked for: their lines are not ours to change. */
function widerKeys(text: string, lines: readonly string[], options: string | undefined): string[] {
  if (options === undefined) return [];
  const wanted = lines.flatMap((line) => readKeyLine(line) ?? []);
  const others = readKeyLines(text).filter((there) => there.options !== options);
  return wanted
    .filter(({ blob }) => others.some((there) => there.blob.equals(blob)))
    .map(({ blob }) => fingerprint(blob));
}

/** Throws `usage.input` for options that sshd could not tell from the key. */
function withOptions(line: string, options: string | undefined): string {
  if (options === undefined) return line;
  const key = readKeyLine(line);
  const made = readKeyLine(`${options} ${line}`);
  if (key?.options === "" && made?.options === options && made.blob.equals(key.blob)) return made.text;
  throw new AmiError("usage.input", `${options} cannot stand before a key`, {
    hint: `write options without blanks outside quotes, as in 'from="10.0.0.0/8",no-pty'; a key takes them once`,
  });
}
