/** Context: what a command gets, for tests on this machine: real events, a real local host behind any name. */
import type { Become, Context, GlobalOptions } from "../../../src/core/command.ts";
import { type Event, bytesOf, createEvents } from "../../../src/core/events.ts";
import type { Host } from "../../../src/core/host.ts";
import { localHost } from "../../../src/core/hosts/local.ts";
import { parseTarget, type Target } from "../../../src/core/targets.ts";

export interface TestContext extends Context {
  readonly seen: Event[];
  /** What a host's programs wrote to a stream, all bytes together. */
  said(stream?: "stdout" | "stderr", host?: string): Buffer;
  of<K extends Event["kind"]>(kind: K): Extract<Event, { kind: K }>[];
}

export interface TestWish {
  /** Default: one, `local`. */
  readonly targets?: readonly string[] | undefined;
  readonly options?: Partial<GlobalOptions> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What opening a target does instead of giving this machine. */
  readonly open?:
    | ((target: Target, host: Host, become: Become | false | undefined) => Host | Promise<Host>)
    | undefined;
  readonly stdio?: Context["stdio"] | undefined;
  readonly terminal?: Context["terminal"] | undefined;
}

export function testContext(wish: TestWish = {}): TestContext {
  const events = createEvents("test");
  const seen: Event[] = [];
  events.subscribe((event) => seen.push(event));
  const host = localHost();
  const of = <K extends Event["kind"]>(kind: K): Extract<Event, { kind: K }>[] =>
    seen.filter((event): event is Extract<Event, { kind: K }> => event.kind === kind);
  return {
    targets: (wish.targets ?? ["local"]).map(parseTarget),
    resolve: (word) => Promise.resolve([parseTarget(word)]),
    hosts: {
      async open(target, { become } = {}) {
        const named: Host = { ...host, name: target.name };
        return wish.open === undefined ? named : wish.open(target, named, become);
      },
    },
    events,
    settings: { get: () => undefined },
    options: { parallel: 8, json: false, quiet: false, verbose: false, yes: false, ...wish.options },
    signal: wish.signal ?? new AbortController().signal,
    confirm: () => Promise.reject(new Error("nobody is asked in tests")),
    ...(wish.stdio === undefined ? {} : { stdio: wish.stdio }),
    ...(wish.terminal === undefined ? {} : { terminal: wish.terminal }),
    seen,
    of,
    said: (stream = "stdout", name) =>
      Buffer.concat(
        of("output")
          .filter((event) => event.stream === stream && (name === undefined || event.host === name))
          .map(bytesOf),
      ),
  };
}
