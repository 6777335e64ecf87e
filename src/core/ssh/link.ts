/**
 * Link: a login on one server, as many connections of it as the work needs. Sessions fill a connection up to what the
 * server allows (MaxSessions); when all are full and stay so, another connection is made; what the server refuses is
 * tried elsewhere, never lost.
 */
import type { Duplex } from "node:stream";
import { AmiError } from "../errors.ts";
import { ChannelLost, ChannelRefused, type Connection } from "./client.ts";
import { cancelled } from "./patience.ts";
import { type Session, type SessionStart, startSession } from "./session.ts";

export interface Link {
  /** What the target is called. */
  readonly name: string;
  /** Is connected when this resolves. Called by everything else by itself. */
  connect(signal?: AbortSignal): Promise<void>;
  /** Starts a command or shell. Waits in line when there is no room. */
  session(start: SessionStart, options?: LineOptions): Promise<Session>;
  /**
   * Lends a connection that has room for one more channel to `open`, which opens it, and keeps that room until
   * `release`. `open` is called again, with another connection perhaps, when it rejects with `ChannelRefused` or
   * `ChannelLost`.
   */
  withRoom<T>(open: (lent: Lent) => Promise<T>, options?: LineOptions): Promise<T>;
  forward(host: string, port: number): Promise<Duplex>;
  /** Idempotent; what waits in line is refused. */
  close(): void;
}

export interface LineOptions {
  readonly signal?: AbortSignal | undefined;
  /** Goes first, and may take the one place that is kept for this: ending programs while all is busy. */
  readonly urgent?: boolean | undefined;
}

export interface Lent {
  readonly connection: Connection;
  release(): void;
}

export interface LinkOptions {
  readonly name: string;
  /** Makes and logs in one connection. */
  open(signal: AbortSignal): Promise<Connection>;
  /** May another connection be made without asking a person again? */
  mayGrow(): boolean;
}

interface Member {
  readonly connection: Connection;
  /** Channels open, being opened or being closed. */
  busy: number;
}

interface LentMember extends Lent {
  readonly member: Member;
}

interface Waiter {
  readonly urgent: boolean;
  give(lent: LentMember): void;
  fail(error: unknown): void;
}

/** OpenSSH's default, believed until the server refuses a channel. */
const usualMaxSessions = 10;
const mostConnections = 20;
/** Milliseconds: short commands are over before another login would be. */
const patienceInLine = 150;
/** How often a server may refuse a channel on a connection that has no other, before we believe that it never will. */
const refusalsAlone = 5;
/** How many connections may break under one start before it fails. */
const mostLosses = 2;

export function createLink(options: LinkOptions): Link {
  const members = new Set<Member>();
  const line: Waiter[] = [];
  const closing = new AbortController();
  let opening = 0;
  /** Most channels on each connection, as far as we know. */
  let capacity = usualMaxSessions;
  let growth: NodeJS.Timeout | undefined;
  /** A further login failed: no more of them while there is one that works. */
  let isFull = false;

  const room = (urgent: boolean): Member | undefined => {
    const withRoom = [...members].filter((member) => member.busy < capacity);
    const places = withRoom.reduce((sum, member) => sum + capacity - member.busy, 0);
    // The last place is for urgent ones; where there is only one place in all, nobody would ever get it.
    const isKept = places === 1 && !(members.size === 1 && capacity === 1);
    return isKept && !urgent ? undefined : withRoom[0];
  };
  const lendFrom = (member: Member): LentMember => {
    member.busy++;
    let isReleased = false;
    return {
      member,
      connection: member.connection,
      release() {
        if (isReleased) return;
        isReleased = true;
        member.busy--;
        serve();
      },
    };
  };

  const serve = (): void => {
    for (let [waiter] = line; waiter !== undefined; [waiter] = line) {
      const member = room(waiter.urgent);
      if (member === undefined) break;
      line.shift();
      waiter.give(lendFrom(member));
    }
    if (line.length === 0) {
      clearTimeout(growth);
      growth = undefined;
      return;
    }
    if (members.size + opening === 0 || line[0]?.urgent === true) grow();
    else growth ??= setTimeout(grow, patienceInLine);
  };

  const grow = (): void => {
    growth = undefined;
    const mayAdd = members.size === 0 || (!isFull && options.mayGrow() && members.size + opening < mostConnections);
    if (line.length === 0 || opening > 0 || !mayAdd) return;
    opening++;
    options
      .open(closing.signal)
      .then(
        (connection) => join(connection),
        (error: unknown) => {
          isFull = members.size > 0;
          if (!isFull) for (const waiter of line.splice(0)) waiter.fail(error);
        },
      )
      .finally(() => {
        opening--;
        serve();
      });
  };

  const join = (connection: Connection): void => {
    if (closing.signal.aborted) return connection.close();
    const member: Member = { connection, busy: 0 };
    members.add(member);
    void connection.gone.then(() => {
      members.delete(member);
      isFull = false;
      serve();
    });
  };

  /** `again`: was lent before and refused by the server, so it is its turn. */
  const lend = ({ signal, urgent = false }: LineOptions = {}, again = false): Promise<LentMember> => {
    if (signal?.aborted === true) return Promise.reject(cancelled(options.name, signal.reason));
    if (closing.signal.aborted) return Promise.reject(closing.signal.reason);
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        line.splice(line.indexOf(waiter), 1);
        reject(cancelled(options.name, signal?.reason));
      };
      const waiter: Waiter = {
        urgent,
        give(lent) {
          signal?.removeEventListener("abort", giveUp);
          resolve(lent);
        },
        fail(error) {
          signal?.removeEventListener("abort", giveUp);
          reject(error);
        },
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      if (urgent || again) line.unshift(waiter);
      else line.push(waiter);
      serve();
    });
  };

  const withRoom = async <T>(open: (lent: Lent) => Promise<T>, place: LineOptions = {}): Promise<T> => {
    let alone = 0;
    let losses = 0;
    for (let again = false; ; again = true) {
      const lent = await lend(place, again);
      try {
        return await open(lent);
      } catch (error) {
        const others = lent.member.busy - 1;
        if (error instanceof ChannelRefused && others > 0) {
          capacity = Math.min(capacity, others);
        } else if (error instanceof ChannelRefused && ++alone < refusalsAlone) {
          // sshd frees the place of a session a moment after it said that the session is closed.
          await new Promise((resolve) => setTimeout(resolve, 20 * 2 ** alone));
        } else if (error instanceof ChannelRefused) {
          lent.release();
          throw noSessions(options.name, error);
        } else if (!(error instanceof ChannelLost) || ++losses > mostLosses) {
          lent.release();
          throw error instanceof ChannelLost ? error.reason : error;
        }
        lent.release();
      }
    }
  };

  return {
    name: options.name,
    async connect(signal) {
      (await lend({ signal })).release();
    },
    withRoom,
    session: (start, place) =>
      withRoom(async (lent) => {
        const started = await startSession(lent.connection, options.name, start);
        void started.closed.then(lent.release);
        return started;
      }, place),
    async forward(host, port) {
      const lent = await lend();
      lent.release(); // forwarded connections do not count as sessions
      return lent.connection.forward(host, port);
    },
    close() {
      if (closing.signal.aborted) return;
      closing.abort(new AmiError("ssh.lost", `the connection to ${options.name} was closed`, { host: options.name }));
      clearTimeout(growth);
      for (const waiter of line.splice(0)) waiter.fail(closing.signal.reason);
      for (const { connection } of members) connection.close();
    },
  };
}

function noSessions(name: string, cause: Error): AmiError {
  return new AmiError("host.spawn", `the server lets us in but opens no session: ${cause.message}`, {
    host: name,
    hint: "MaxSessions of its sshd_config may be 0, or the account may only forward connections",
    retry: "yes",
    cause,
  });
}
