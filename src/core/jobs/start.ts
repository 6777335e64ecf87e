/** Start: brings a job to life on a host. However often the connection breaks meanwhile, it is started once. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { meant } from "../deed.ts";
import type { Argv } from "../argv.ts";
import { checkLaunch } from "../hosts/launch.ts";
import { isLoss } from "../detached.ts";
import { AmiError } from "../errors.ts";
import type { Host } from "../host.ts";
import { waitBefore } from "../retry.ts";
import { startProgram } from "./far.ts";
import { askFar, type About } from "./job.ts";

export interface StartWish {
  readonly id: string;
  readonly argv: Argv;
  readonly about: About;
  readonly env?: Record<string, string> | undefined;
  readonly cwd?: string | undefined;
  /** Called when it was asked for and nobody knows whether it was started. */
  readonly onUnknown?: (() => void) | undefined;
}

const attempts = 5;

/** Rejects with `job.failed` when the machine cannot keep a job (no home, a full disk), and as `Host.exec` does. */
export async function startJob(open: () => Promise<Host>, wish: StartWish, signal: AbortSignal): Promise<void> {
  checkLaunch(wish.argv, wish);
  if (wish.argv[0].startsWith("-")) throw new AmiError("usage.input", `${wish.argv[0]} is no program`);
  const host = await open();
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(attempt === 1 ? host : await open(), wish, signal);
    } catch (error) {
      if (!isLoss(error) && !signal.aborted) throw error;
      if (attempt < attempts && !signal.aborted)
        await sleep(waitBefore(attempt, Math.random()), undefined, { signal }).catch(() => undefined);
      if (attempt < attempts && !signal.aborted) continue;
      wish.onUnknown?.();
      throw error;
    }
  }
}

async function start(host: Host, { id, argv, about, env = {}, cwd }: StartWish, signal: AbortSignal): Promise<void> {
  const nonce = randomBytes(9).toString("hex");
  const program = startProgram({ nonce, id, argv, env, about: JSON.stringify(about) });
  const said = await askFar(host, nonce, program, {
    signal,
    words: about.session === undefined ? meant(argv) : [],
    ...(cwd === undefined ? {} : { cwd }),
  });
  const [, why] = /^broken (.*)/s.exec(said) ?? [];
  if (why === undefined) return;
  const isFull = /no space|quota/i.test(why);
  throw new AmiError("job.failed", `no job can be started: ${why.trim()}`, {
    host: host.name,
    hint: isFull
      ? "make room on the disk of the home folder there: what a job says is kept in it"
      : "the user there needs a home folder that can be written: jobs live in its .ami-node/jobs",
  });
}
