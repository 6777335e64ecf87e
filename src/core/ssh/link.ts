/**
 * Link: a login on one server, as many connections of it as the work needs. Sessions fill a connection up to what the
 * server allows (MaxSessions); when all are full and stay so, another connection is made; what the server refuses is
 * tried elsewhere, never lost.
 */
import type { Duplex } from "node:stream";
import { AmiError } from "../errors.ts";
import { withRetries } from "../retry.ts";
import { visible } from "../visible.ts";
import { ChannelLost, ChannelRefused, type Connection } from "./connection.ts";
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
  /** Any connection of it, made if there is none. Forwarded connections take no place: they do not count as sessions. */
  connection(signal?: AbortSignal): Promise<Connection>;
  /** How many connections there are. */
  readonly connections: number;
  /** Channels and forwarded connections in use, or waited for. */
  readonly busy: number;
  /** When it was last busy, in milliseconds since 1970; when it was made, if it never was. */
  readonly lastUsed: number;
  /** Idempotent; what waits in line is refused. */
  close(): void;
}

export interface LineOptions {
  readonly signal?: AbortSignal | undefined;
  /** Goes first, and may take the one place that is kept for this: ending programs while all is busy. */
  readonly urgent?: boolean | undefined;
  /**
   * Wants a connection with fewer channels than this, a new one at once if need be: one TCP connection carries only so
   * much in a round trip. Where no other can be made, any will do.
   */
  readonly apart?: number | undefined;
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
  /** Those the server has opened for sure. */
  open: number;
  /** The server refused a channel a moment ago, though there should be room: not asked again for a while. */
  resting: boolean;
}

interface LentMember extends Lent {
  readonly member: Member;
  /** The server did open the channel. */
  opened(): void;
}

interface Waiter {
  readonly urgent: boolean;
  readonly apart: number | undefined;
  give(lent: LentMember): void;
  fail(error: unknown): void;
}

/** OpenSSH's default, believed until the server refuses a channel. */
const usualMaxSessions = 10;
const mostConnections = 20;
/** Milliseconds: short commands are over before another login would be. */
const patienceInLine = 150;
/** How often a server that never opened a channel may refuse one, before we believe that it never will. */
const refusalsAtFirst = 5;
/** Milliseconds; longer with each refusal in a row. */
const restAfterRefusal = 20;
/** How many connections may break under one start before it fails. */
const mostLosses = 2;
/**
 * How often the login is tried again where it has worked before: a server that restarts, a network that comes back.
 * Nothing runs before it succeeds, so nothing is repeated. Who could never log in is told at once.
 */
const mostReopenings = 4;

export function createLink(options: LinkOptions): Link {
  const members = new Set<Member>();
  const line: Waiter[] = [];
  const closing = new AbortController();
  let opening = 0;
  /** Most channels on each connection, as far as we know. */
  let capacity = usualMaxSessions;
  /** Most channels ever open at once on one connection: the server allows at least so many. */
  let proven = 0;
  let growth: NodeJS.Timeout | undefined;
  /** A further login failed: no more of them while there is one that works. */
  let isFull = false;
  let hasWorked = false;
  let forwards = 0;
  let lastUsed = Date.now();

  const mayAdd = (): boolean =>
    members.size === 0 || (!isFull && options.mayGrow() && members.size + opening < mostConnections);

  const room = ({ urgent, apart }: Waiter): Member | undefined => {
    const roomy = [...members].filter((member) => !member.resting && member.busy < capacity);
    if (apart !== undefined && (opening > 0 || mayAdd())) return roomy.find(({ busy }) => busy < apart);
    const places = roomy.reduce((sum, member) => sum + capacity - member.busy, 0);
    // The last place is for urgent ones; where there is only one place in all, nobody would ever get it.
    const isKept = places === 1 && !(members.size === 1 && capacity === 1);
    return isKept && !urgent ? undefined : roomy[0];
  };
  const lendFrom = (member: Member): LentMember => {
    member.busy++;
    let isOpen = false;
    let isReleased = false;
    return {
      member,
      connection: member.connection,
      opened() {
        if (isReleased) return;
        isOpen = true;
        proven = Math.max(proven, ++member.open);
      },
      release() {
        if (isReleased) return;
        isReleased = true;
        member.busy--;
        if (isOpen) member.open--;
        lastUsed = Date.now();
        serve();
      },
    };
  };

  const serve = (): void => {
    for (const waiter of line.slice()) {
      const member = room(waiter);
      // Who waits for a connection of its own holds up nobody.
      if (member === undefined && waiter.apart === undefined) break;
      if (member === undefined) continue;
      line.splice(line.indexOf(waiter), 1);
      waiter.give(lendFrom(member));
    }
    if (line.length === 0) {
      clearTimeout(growth);
      growth = undefined;
      return;
    }
    const isPressing = line[0]?.urgent === true || line.some(({ apart }) => apart !== undefined);
    if (members.size + opening === 0 || isPressing) grow();
    else growth ??= setTimeout(grow, patienceInLine);
  };

  /** One at a time, but for those who want one of their own: they know how many they need. */
  const grow = (): void => {
    growth = undefined;
    if (line.length === 0) return;
    const wanted = line.reduce((sum, { apart }) => sum + (apart === undefined ? 0 : 1 / apart), 0);
    while (opening < Math.max(1, Math.ceil(wanted)) && mayAdd()) open();
  };

  const open = (): void => {
    opening++;
    const retries = hasWorked && members.size === 0 ? mostReopenings : 0;
    withRetries({ retries, signal: closing.signal }, () => options.open(closing.signal))
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
    const member: Member = { connection, busy: 0, open: 0, resting: false };
    members.add(member);
    hasWorked = true;
    lastUsed = Date.now();
    connection.onGone(() => {
      members.delete(member);
      isFull = false;
      serve();
    });
  };

  /** `again`: was lent before and refused by the server, so it is its turn. */
  const lend = ({ signal, urgent = false, apart }: LineOptions = {}, again = false): Promise<LentMember> => {
    if (signal?.aborted === true) return Promise.reject(cancelled(options.name, signal.reason));
    if (closing.signal.aborted) return Promise.reject(closing.signal.reason);
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        line.splice(line.indexOf(waiter), 1);
        reject(cancelled(options.name, signal?.reason));
      };
      const waiter: Waiter = {
        urgent,
        apart,
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

  const anyMember = async (signal?: AbortSignal): Promise<Connection> => {
    const [member] = members;
    if (member !== undefined && !closing.signal.aborted) return member.connection;
    const lent = await lend({ signal });
    lent.release();
    return lent.connection;
  };

  /** The server refused a channel. When no fewer were open than it ever allowed, that is its limit. */
  const learn = (member: Member): boolean => {
    const others = member.busy - 1;
    if (others < Math.max(1, proven)) return false;
    capacity = Math.min(capacity, others);
    return true;
  };
  /**
   * Otherwise it is still busy closing others: sshd frees a place a moment after it said that a session is closed, and
   * keeps that of a session given up for as long as its program runs.
   */
  const rest = async (member: Member, refusals: number): Promise<void> => {
    member.resting = true;
    await new Promise((resolve) => setTimeout(resolve, restAfterRefusal * 2 ** Math.min(refusals, 5)));
    member.resting = false;
  };

  const withRoom = async <T>(open: (lent: Lent) => Promise<T>, place: LineOptions = {}): Promise<T> => {
    let losses = 0;
    for (let refusals = 0; ;) {
      const lent = await lend(place, refusals + losses > 0);
      try {
        const result = await open(lent);
        lent.opened();
        return result;
      } catch (error) {
        const isOver =
          error instanceof ChannelRefused
            ? ++refusals >= refusalsAtFirst && proven === 0
            : !(error instanceof ChannelLost) || ++losses > mostLosses;
        if (error instanceof ChannelRefused && !isOver && !learn(lent.member)) await rest(lent.member, refusals);
        lent.release();
        if (isOver && error instanceof ChannelRefused) throw noSessions(options.name, error);
        if (isOver) throw error instanceof ChannelLost ? error.reason : error;
      }
    }
  };

  return {
    name: options.name,
    async connect(signal) {
      await anyMember(signal);
    },
    withRoom,
    session: (start, place) =>
      withRoom(async (lent) => {
        const started = await startSession(lent.connection, options.name, start, place?.signal);
        void started.closed.then(lent.release);
        return started;
      }, place),
    connection: anyMember,
    get connections() {
      return members.size;
    },
    get busy() {
      return [...members].reduce((sum, member) => sum + member.busy, forwards + line.length);
    },
    get lastUsed() {
      return lastUsed;
    },
    async forward(host, port) {
      forwards++;
      const done = (): void => {
        forwards--;
        lastUsed = Date.now();
      };
      try {
        const stream = await (await anyMember()).forward(host, port);
        stream.once("close", done);
        return stream;
      } catch (error) {
        done();
        throw error;
      }
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
  return new AmiError("host.spawn", `the server lets us in but opens no session: ${visible(cause.message)}`, {
    host: name,
    hint: "MaxSessions of its sshd_config may be 0, or the account may only forward connections",
    retry: "yes",
    cause,
  });
}
