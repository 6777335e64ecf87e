/**
 * Ready: a small `sh` that waits on a connection for its next program, so that a command which comes along has neither a
 * channel to open nor a login shell to wait for. One for each connection that stays, while nothing else runs on it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Link } from "../ssh/link.ts";
import type { Session, SessionStart } from "../ssh/session.ts";
import { waitingArgv } from "./launch.ts";
import { newMark } from "./marks.ts";
import { loginLine } from "./raw.ts";

export interface Ready {
  readonly mark: string;
  readonly session: Session;
}

interface Waiting extends Ready {
  /** What the session was told besides: who wants it otherwise gets none. */
  readonly told: string;
  use(): void;
}

const waiting = new WeakMap<Link, Waiting>();

/** The one that waits, if it is as wanted; another one makes room. */
export function takeReady(link: Link, start: SessionStart): Ready | undefined {
  const found = waiting.get(link);
  if (found === undefined) return undefined;
  waiting.delete(link);
  found.use();
  if (found.told === JSON.stringify(start)) return found;
  found.session.abandon();
  return undefined;
}

/**
 * Has one wait, when nothing else is going on. Called as soon as a program has ended: its channel takes a moment to close.
 * Never rejects, as it is only for speed.
 */
export async function makeReady(link: Link, start: SessionStart): Promise<void> {
  for (const ms of [1, 4, 16, 64]) if (link.busy > 0) await sleep(ms);
  if (link.busy > 0 || link.connections === 0 || waiting.has(link)) return;
  const mark = newMark();
  try {
    const { session, use } = await link.spare({ ...start, command: loginLine(waitingArgv(mark)) });
    // Somebody may have been faster, or be in need of the room.
    if (link.busy > 0 || waiting.has(link)) return session.abandon();
    const own: Waiting = { mark, session, use, told: JSON.stringify(start) };
    waiting.set(link, own);
    const forget = (): void => void (waiting.get(link) === own && waiting.delete(link));
    session.exit.then(forget, forget);
    void session.closed.then(forget);
  } catch {
    return; // the next command finds out what is the matter
  }
}
