/** Observer: asks each user's shell on a host its probes, all at once, and keeps what the machine is for each of them. */
import { asAmiError } from "../errors.ts";
import type { Facts, OsFacts, Probe } from "../facts.ts";
import { observe } from "./observe.ts";
import type { Sessions, UserKey } from "./sessions.ts";

export interface Observer {
  /** One round trip a user. `unlock`: also gives back the lock of that run. The answer is found by the user. */
  ask(
    questions: ReadonlyMap<UserKey, readonly Probe[]>,
    options?: { readonly unlock?: string | undefined },
  ): Promise<(user: UserKey) => Facts>;
  /** What the machine is for the main user: `host.*` of expressions. Undefined until somebody was asked. */
  readonly os: OsFacts | undefined;
  /** The same for a user (their home, their id); the main user's when they were not asked. */
  osOf(user: UserKey): OsFacts;
  /** Users asked so far. */
  users(): readonly UserKey[];
}

/** `main`: whom resources become unless they say otherwise. */
export function createObserver(sessions: Sessions, main: UserKey, signal: AbortSignal): Observer {
  const known = new Map<UserKey, OsFacts>();

  /** Looking changes nothing, so a connection lost while looking is made again once. */
  const lookTwice = async (
    user: UserKey,
    probes: readonly Probe[],
    options: { os: boolean; unlock: string | undefined },
  ): ReturnType<typeof observe> => {
    try {
      return await observe(await sessions.get(user), probes, options);
    } catch (error) {
      if (asAmiError(error).code !== "ssh.lost" || signal.aborted) throw error;
      return observe(await sessions.reopen(user), probes, options);
    }
  };

  return {
    get os() {
      return known.get(main);
    },
    osOf(user) {
      const os = known.get(user) ?? known.get(main);
      if (os === undefined) throw new Error("facts were not read");
      return os;
    },
    users: () => [...known.keys()],
    async ask(questions, options = {}) {
      const asked = new Map(questions);
      // `host.*` is the main user's, also where every resource names another one.
      if (!known.has(main) && !asked.has(main)) asked.set(main, []);
      const answers = new Map<UserKey, Facts>();
      await Promise.all(
        [...asked].map(async ([user, probes]) => {
          const seen = await lookTwice(user, probes, { os: !known.has(user), unlock: options.unlock });
          if (seen.os !== undefined) known.set(user, seen.os);
          answers.set(user, seen.facts);
        }),
      );
      return (user) => {
        const facts = answers.get(user);
        if (facts === undefined) throw new Error(`nobody asked as ${user}`);
        return facts;
      };
    },
  };
}
