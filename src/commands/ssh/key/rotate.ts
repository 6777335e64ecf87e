/** ssh key rotate: replaces a key on every target that takes it. */
import { rm } from "node:fs/promises";
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { AmiError, errorJson } from "../../../core/errors.ts";
import { type Fan, fanout } from "../../../core/fanout.ts";
import { withLock } from "../../../core/lock.ts";
import { errorSchema, exitOfMany } from "../../../core/report.ts";
import { talkToAgent } from "../../../core/ssh/agent-talk.ts";
import { beginRotation } from "../../../core/ssh/key/begin-rotation.ts";
import { keyTypes } from "../../../core/ssh/key/generate.ts";
import { usesByFile } from "../../../core/ssh/key/list.ts";
import { newPassphrase, passphraseValues } from "../../../core/ssh/key/passphrase.ts";
import { homeFolder, keyPath, usualKey } from "../../../core/ssh/key/places.ts";
import {
  type Journal,
  blobOf,
  endRotation,
  journalPath,
  keepJournal,
  takePlace,
} from "../../../core/ssh/key/rotation.ts";
import { type Succession, introduce, retire } from "../../../core/ssh/key/succeed.ts";
import { fingerprint } from "../../../core/ssh/known-hosts.ts";
import type { Target } from "../../../core/targets.ts";

const input = z.strictObject({
  key: z.string().min(1).optional().describe("the private key to replace; else the first usual one in ~/.ssh"),
  type: z.enum(keyTypes).optional().describe("of the new key; else that of the old one"),
  bits: z.number().int().optional().describe("of rsa (4096) and ecdsa (256)"),
  comment: z
    .string()
    .regex(/^[^\r\n]*$/, "is more than one line")
    .optional()
    .describe("else that of the old key"),
  file: z.string().min(1).optional().describe("the file of keys there, where sshd reads another one"),
  forget: z.array(z.string()).default([]).describe("give up a target of the rotation under way; it keeps the old key"),
  ...newPassphrase,
});

const states = ["waiting", "introduced", "retired", "absent"] as const;
const output = z.object({
  file: z.string(),
  old: z.string().describe("fingerprint"),
  new: z.string().describe("fingerprint"),
  kept: z.string().optional().describe("where the old private key is now; absent while it is still in its place"),
  done: z.boolean(),
  hosts: z.array(
    z.object({
      host: z.string(),
      state: z.enum(states).describe("introduced: it takes both keys; retired: only the new one; absent: neither"),
      error: errorSchema.optional(),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh key rotate",
  summary: "Replace a key on every target",
  description: `First every target gets the new key besides the old one, under the same options, and a fresh login with the new key alone proves that it works. Only when all have proven it, the new key takes the place of the old one here (which is kept beside it), and the old line is removed there, through a login of the new key.

Nobody is locked out at any moment. When something fails, nothing is taken away that is still needed: run it again with the same targets, and it goes on where it stopped.`,
  examples: [
    { line: "ami-node ssh key rotate @prod", says: "the usual key, on a group" },
    { line: "ami-node ssh key rotate 'web*' --key ~/.ssh/deploy --without-passphrase --yes", says: "from a script" },
    { line: "ami-node ssh key rotate @prod --forget web7", says: "go on without a machine that is gone" },
  ],
  input,
  args: {
    targetWord: "many",
    values: { key: "FILE", comment: "TEXT", file: "REMOTE", forget: "NAME", ...passphraseValues },
  },
  output,
  effect: "destroy",
  programs: "own",
  shows: "events",
  targets: "settings",
  exits: { 3: "several targets, and at least one failed", 4: "no target could be reached" },
  run: rotate,
});

type Wish = z.output<typeof input>;

async function rotate(wish: Wish, ctx: Context): Promise<{ output: z.output<typeof output>; exit: number }> {
  if (ctx.options.become !== undefined) {
    throw new AmiError("usage.input", "a key is rotated by who logs in with it, so there is no --become", {
      hint: "name the user in the target: ami-node ssh key rotate user@host",
    });
  }
  const file = wish.key === undefined ? await usualKey() : keyPath(wish.key);
  const held = (by: string, lock: string): AmiError =>
    new AmiError("run.refused", `${file} is being rotated by ${by}`, {
      hint: `wait for it; when it is gone, remove ${lock}`,
      retry: "yes",
    });
  return withLock({ file: journalPath(file), patience: 0, signal: ctx.signal, held }, () =>
    rotateFile(file, wish, ctx),
  );
}

async function rotateFile(
  file: string,
  wish: Wish,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const { targets, events, signal } = ctx;
  const begun = await beginRotation({ ...wish, file, confirm: () => confirm(file, ctx) }, targets, ctx);
  const journal = keepJournal(file, begun.journal);
  const old = blobOf(begun.journal.old);
  const title = `rotate ${fingerprint(old)} to ${fingerprint(begun.key.blob)}`;
  events.emit({ kind: "run.start", title, hosts: targets.map(({ name }) => name) });
  for (const { name } of targets) events.emit({ kind: "host.start", host: name });
  if (begun.isResumed) events.emit({ kind: "note", level: "info", text: "an earlier rotation goes on" });

  const started = performance.now();
  const errors = new Map<string, AmiError>();
  const step = async (
    index: number,
    title_: string,
    state: Journal["hosts"][string],
    work: (succession: Succession) => Promise<Journal["hosts"][string]>,
  ): Promise<void> => {
    const pending = targets.filter(({ name }) => journal.now().hosts[name] === state);
    const onEnd = (fan: Fan<Target, unknown>): void => {
      if (fan.state !== "done") errors.set(fan.target.name, fan.error);
      events.emit(stepEnd(fan, index, title_));
    };
    const options = { parallel: ctx.options.parallel, timeout: ctx.options.timeout, signal, onEnd };
    await fanout(pending, options, async (target, own) => {
      const common = { target, hosts: ctx.hosts, old, key: begun.key, file: wish.file, signal: own };
      const reached = await work({ ...common, line: journal.now().new });
      await journal.change(({ hosts, ...rest }) => ({ ...rest, hosts: { ...hosts, [target.name]: reached } }));
      return reached;
    });
  };

  if (journal.now().phase === "introduce") {
    await step(1, "let the new key in, and log in with it", "waiting", introduce);
    const reached = Object.values(journal.now().hosts);
    if (errors.size === 0 && reached.every((state) => state === "absent")) {
      await Promise.all([`${file}.new`, `${file}.new.pub`].map((path) => rm(path, { force: true })));
      await endRotation(file);
      errors.set("", new AmiError("plan.refused", `no target takes the key ${file}, so there is nothing to rotate`));
    } else if (errors.size === 0) {
      await journal.change((state) => ({ ...state, phase: "retire" }));
      await takePlace(file, journal.now());
    }
  }
  if (errors.size === 0) {
    await step(2, "remove the old key", "introduced", async (succession) => {
      await retire(succession);
      return "retired";
    });
  }
  const isDone = errors.size === 0;
  if (isDone) await endRotation(file);
  const socket = process.env["SSH_AUTH_SOCK"] ?? "";
  const held =
    isDone && socket !== ""
      ? await talkToAgent(socket, signal)
          .list()
          .catch(() => [])
      : [];
  const inAgent = held.some((key) => key.blob.equals(old));
  tell({ ctx, file, errors, inAgent, state: journal.now(), ms: performance.now() - started });
  return {
    output: {
      file,
      old: fingerprint(old),
      new: fingerprint(begun.key.blob),
      ...(journal.now().phase === "retire" ? { kept: journal.now().kept } : {}),
      done: isDone,
      hosts: targets.map(({ name }) => {
        const error = errors.get(name);
        return {
          host: name,
          state: journal.now().hosts[name] ?? "absent",
          ...(error === undefined ? {} : { error: errorJson(error) }),
        };
      }),
    },
    exit: exitOfMany(targets.map(({ name }) => errors.get(name) ?? "ok")),
  };
}

async function confirm(file: string, ctx: Context): Promise<void> {
  const names = ctx.targets.map(({ name }) => name);
  const uses = await usesByFile({ configFile: ctx.options.sshConfig, home: homeFolder(), signal: ctx.signal });
  const left = (uses.get(file) ?? []).filter((alias) => !names.includes(alias));
  const also =
    left.length === 0 ? "" : `The ssh config uses this key for ${left.join(", ")} too, which would go on wanting it.\n`;
  const where = names.length > 8 ? `${names.length} targets` : names.join(", ");
  await ctx.confirm(`${also}Replace the key ${file} on ${where}?`);
}

function stepEnd(fan: Fan<Target, unknown>, index: number, title: string) {
  const common = { kind: "step.end", host: fan.target.name, step: String(index), title, index, total: 2 } as const;
  if (fan.state === "done") {
    if (fan.value !== "absent") return { ...common, outcome: "changed", ms: fan.ms } as const;
    return { ...common, outcome: "skipped", ms: fan.ms, reason: "the old key is not there" } as const;
  }
  return { ...common, outcome: fan.state, ms: fan.ms, error: errorJson(fan.error) } as const;
}

/** The ends of all targets and of the run. A single target's error is thrown instead of reported, as everywhere. */
function tell(end: {
  ctx: Context;
  file: string;
  errors: ReadonlyMap<string, AmiError>;
  inAgent: boolean;
  state: Journal;
  ms: number;
}): void {
  const { ctx, file, errors, state } = end;
  const { events, targets } = ctx;
  const ms = Math.round(end.ms);
  for (const { name } of targets) {
    const error = errors.get(name);
    if (error !== undefined) {
      events.emit({ kind: "host.end", host: name, outcome: "failed", ms, error: errorJson(error) });
      continue;
    }
    const outcome = state.hosts[name] === "absent" ? "skipped" : "changed";
    events.emit({ kind: "host.end", host: name, outcome, ms });
  }
  const note = (text: string): void => events.emit({ kind: "note", level: "info", text });
  if (errors.size === 0) note(`${file} is the new key; the old one is kept as ${state.kept}`);
  else if (state.phase === "introduce" && !errors.has("")) {
    note("nothing was taken away: every target still takes the old key. Run it again to go on");
  } else if (state.phase === "retire") {
    note(`${file} is the new key and every target takes it; some take the old one too. Run it again to go on`);
  }
  if (end.inAgent) {
    note(`the agent still holds the old one: ami-node ssh key agent remove ${fingerprint(blobOf(state.old))}`);
  }
  events.emit({ kind: "run.end", outcome: errors.size === 0 ? "changed" : "failed", ms });
  const general = errors.get("");
  if (general !== undefined) throw general;
  const [only] = errors.values();
  if (targets.length === 1 && only !== undefined) throw only;
}
