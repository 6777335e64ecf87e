/** Sessions of one host: one shell for each user that resources become, opened when first needed. */
import type { Context } from "../command.ts";
import { AmiError, asAmiError } from "../errors.ts";
import type { Host } from "../host.ts";
import type { Target } from "../targets.ts";
import { openSession, type Session } from "./session.ts";
import type { ResourceNode } from "./wish.ts";

/** `""` is the user of the login. */
export type UserKey = string;

export interface Sessions {
  get(user: UserKey): Promise<Session>;
  /** The same shell again after its connection broke. */
  reopen(user: UserKey, nonce?: string): Promise<Session>;
  host(user: UserKey): Promise<Host>;
  /** Round trips so far: programs sent and files put. */
  readonly trips: number;
  countTrip(): void;
  close(): Promise<void>;
}

/** Whom a resource becomes; `handlers` alike. */
export function userOf(node: ResourceNode, ctx: Pick<Context, "options">): UserKey {
  const { become } = node.common;
  if (become === false) return "";
  if (become === true) return "root";
  return become ?? ctx.options.become?.user ?? "";
}

export function openSessions(target: Target, ctx: Context, signal: AbortSignal): Sessions {
  const open = new Map<UserKey, Promise<Session>>();
  let closedTrips = 0;
  let extra = 0;
  const hostFor = async (user: UserKey): Promise<Host> => {
    const host = await ctx.hosts.open(target, { signal, become: false });
    if (host.family !== "posix")
      throw new AmiError("host.unsupported", `${target.name}: provisioning needs a POSIX shell on the target`, {
        host: target.name,
      });
    return user === "" ? host : host.as(user, ctx.options.become ?? ctx.options.becomeBy);
  };
  const start = async (user: UserKey, nonce?: string): Promise<Session> =>
    openSession(await hostFor(user), signal, nonce);
  const settled = new Map<UserKey, Session>();
  const remember = (user: UserKey, nonce?: string): Promise<Session> => {
    const promise = start(user, nonce).then((session) => {
      settled.set(user, session);
      return session;
    });
    open.set(user, promise);
    // A failed opening is tried anew the next time.
    promise.catch(() => open.delete(user));
    return promise;
  };
  return {
    get: (user) => open.get(user) ?? remember(user),
    async reopen(user, nonce) {
      const old = settled.get(user);
      if (old !== undefined) {
        closedTrips += old.programs;
        settled.delete(user);
        await old.close();
      }
      return remember(user, nonce);
    },
    host: hostFor,
    get trips() {
      return closedTrips + extra + [...settled.values()].reduce((sum, s) => sum + s.programs, 0);
    },
    countTrip() {
      extra++;
    },
    async close() {
      await Promise.all(
        [...open.values()].map(async (promise) =>
          promise.then((s) => s.close()).catch((error: unknown) => asAmiError(error)),
        ),
      );
    },
  };
}
