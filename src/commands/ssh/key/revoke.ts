/** ssh key revoke: takes a key's line away on targets. */
import { z } from "zod";
import { act } from "../../../core/act.ts";
import { type Context, type LoginKey, defineCommand } from "../../../core/command.ts";
import { AmiError, errorJson } from "../../../core/errors.ts";
import { errorSchema } from "../../../core/report.ts";
import { changeAuthorized, readAuthorized } from "../../../core/ssh/key/authorized.ts";
import { enter } from "../../../core/ssh/key/enter.ts";
import { keysAtHand } from "../../../core/ssh/key/keys-at-hand.ts";
import { type KeyLine, readKeyLines, withoutKey } from "../../../core/ssh/key/lines.ts";
import { homeFolder, keyPath } from "../../../core/ssh/key/places.ts";
import { readPublicKey } from "../../../core/ssh/key/public-line.ts";
import { resolveSshConfig } from "../../../core/ssh/config/resolve.ts";
import { fingerprint } from "../../../core/ssh/known-hosts.ts";
import type { Target } from "../../../core/targets.ts";

const input = z.strictObject({
  key: z.string().min(1).describe("the key: its file, or its fingerprint (SHA256:...)"),
  force: z.boolean().default(false).describe("even when no other key of ours is left to log in with"),
  file: z.string().min(1).optional().describe("the file of keys there, where sshd reads another one"),
});

const output = z.object({
  fingerprint: z.string(),
  hosts: z.array(
    z.object({
      host: z.string(),
      path: z.string().optional(),
      removed: z.number().int().optional().describe("lines that are gone"),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh key revoke",
  summary: "Take a key away on targets",
  description: `Removes every line of the key from ~/.ssh/authorized_keys there; all other lines stay as they are. Before that it logs in anew with another key of ours that is in the file (an open key file or one of the agent): when none works, the target is refused, unless --force is given.`,
  examples: [
    { line: "ami-node ssh key revoke web1,web2 --key ./old.pub", says: "by file" },
    { line: "ami-node ssh key revoke web1 --key SHA256:Ii0mEQuWGkiWAf8HzY5Vaml8yxumtfJePnJ/yxMsIh0", says: "by name" },
  ],
  input,
  args: { targetWord: "many", values: { key: "KEY", file: "REMOTE" } },
  output,
  effect: "destroy",
  programs: "own",
  shows: "events",
  targets: "settings",
  exits: { 3: "a target failed, or it would have locked us out", 4: "no target could be reached" },
  run: revoke,
});

async function revoke(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const print = wish.key.startsWith("SHA256:") ? wish.key : fingerprint((await readPublicKey(keyPath(wish.key))).blob);
  const many = ctx.targets.length === 1 ? ctx.targets[0]?.name : `${ctx.targets.length} targets`;
  await ctx.confirm(`Remove the key ${print} on ${many}?`);
  const { fans, exit } = await act(ctx, { title: `revoke ${print}`, work });
  return {
    output: {
      fingerprint: print,
      hosts: fans.map((fan) => ({
        host: fan.target.name,
        ...(fan.state === "done" ? fan.value : { error: errorJson(fan.error) }),
      })),
    },
    exit,
  };

  async function work(target: Target, signal: AbortSignal): Promise<{ path: string; removed: number }> {
    const host = await ctx.hosts.open(target, { signal });
    const place = { file: wish.file, signal };
    const { path, text } = await readAuthorized(host, place);
    const keys = readKeyLines(text);
    const victims = keys.filter((key) => fingerprint(key.blob) === print);
    const [victim] = victims;
    const note = (words: string): void =>
      ctx.events.emit({ kind: "note", host: target.name, level: "info", text: words });
    if (victim === undefined) {
      note(`${path}: it is not there`);
      return { path, removed: 0 };
    }
    if (!wish.force) {
      const others = keys.filter((key) => !key.blob.equals(victim.blob));
      note(`${await provenAnother(target, others, signal)} still opens it`);
    }
    await changeAuthorized(host, place, (now) => withoutKey(now, victim.blob));
    note(`${path}: ${victims.length === 1 ? "removed" : `${victims.length} lines removed`}`);
    return { path, removed: victims.length };
  }

  /** Resolves with the key that a fresh login worked with. Rejects with `plan.refused` when there is none. */
  async function provenAnother(target: Target, others: readonly KeyLine[], signal: AbortSignal): Promise<string> {
    const isOther = (key: LoginKey): boolean => others.some((line) => line.blob.equals(key.blob));
    for (const key of (await ownKeys(target, ctx, signal)).filter(isOther)) {
      const opened = await enter({ hosts: ctx.hosts, target, key, signal }).catch(() => undefined);
      signal.throwIfAborted();
      await opened?.close();
      if (opened !== undefined) return fingerprint(key.blob);
    }
    throw new AmiError("plan.refused", "no other key of ours opens it, so removing this one would lock us out", {
      host: target.name,
      hint: "install another key first, or say --force if you get in another way",
    });
  }
}

async function ownKeys(target: Target, ctx: Context, signal: AbortSignal): Promise<LoginKey[]> {
  if (target.kind === "local") return [];
  const { host, user, port } = target;
  const home = homeFolder();
  const config = await resolveSshConfig(host, { configFile: ctx.options.sshConfig, user, port, home, signal });
  const named = (ctx.options.identities ?? []).map((path) => keyPath(path));
  const agent = config.identityAgent ?? process.env["SSH_AUTH_SOCK"];
  return keysAtHand([...named, ...config.identityFiles], agent === "none" || agent === "" ? undefined : agent);
}
