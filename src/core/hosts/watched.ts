/**
 * Watched: a host on which everything is judged before it is done, and told afterwards. The one place where the policy
 * is enforced and the audit log is fed, whatever the verb and however the host is reached.
 */
import type { Argv } from "../argv.ts";
import { type Deed, type Listener, meant } from "../deed.ts";
import type { Exit, Host, Running, Terminal } from "../host.ts";
import type { Target } from "../targets.ts";

/** Who does something where. */
export interface Doer {
  readonly target: Target;
  /** The address the target's name stands for, where it is known. */
  readonly address?: string | undefined;
  /** The user who logs in. */
  readonly login: string;
  /** The user who was become after that. */
  readonly as?: string | undefined;
}

export interface Watch {
  /** There is a policy: what is announced is judged beforehand. */
  readonly hasRules: boolean;
  /** Throws `policy.denied`. */
  judge(doer: Doer, deed: Deed): void;
  /** Words of the user are about to run; what it returns is called when their end is known. */
  runs?: ((doer: Doer, argv: readonly string[] | undefined) => (end: DeedEnd) => void) | undefined;
  /** Wraps a terminal in whatever has to listen. */
  listens?:
    | ((doer: Doer, terminal: Terminal, argv: readonly string[] | undefined) => Promise<Listener | undefined>)
    | undefined;
}

export type DeedEnd = { readonly exit: Exit } | { readonly error: unknown };

export function watchedHost(host: Host, doer: Doer, watch: Watch): Host {
  const judged = (argv: Argv, pty?: boolean): ((end: DeedEnd) => void) => {
    const words = meant(argv);
    if (words === undefined || watch.runs === undefined) return () => undefined;
    watch.judge(doer, { does: "run", argv: words, pty });
    return watch.runs(doer, words);
  };
  const { shell } = host;
  return {
    ...host,
    async spawn(argv, options): Promise<Running> {
      const ended = judged(argv, options?.pty === undefined ? undefined : true);
      try {
        const running = await host.spawn(argv, options);
        running.exit.then(
          (exit) => ended({ exit }),
          (error: unknown) => ended({ error }),
        );
        return running;
      } catch (error) {
        ended({ error });
        throw error;
      }
    },
    async exec(argv, options) {
      const ended = judged(argv);
      try {
        const result = await host.exec(argv, options);
        ended({ exit: result.exit });
        return result;
      } catch (error) {
        ended({ error });
        throw error;
      }
    },
    as(user, options) {
      const other = { ...doer, as: user };
      watch.judge(other, { does: "become", user });
      return watchedHost(host.as(user, options), other, watch);
    },
    ...(shell === undefined ? {} : { shell: (terminal, argv) => watchedShell(shell, terminal, argv) }),
  };

  async function watchedShell(open: NonNullable<Host["shell"]>, terminal: Terminal, argv?: Argv): Promise<Exit> {
    const words = argv === undefined ? undefined : meant(argv);
    watch.judge(doer, { does: "terminal", argv: words });
    const listener = await watch.listens?.(doer, terminal, words);
    const ended = watch.runs?.(doer, words) ?? (() => undefined);
    let exit: Exit | undefined;
    try {
      const shell = open(listener?.terminal ?? terminal, argv);
      exit = await (listener === undefined ? shell : Promise.race([shell, listener.broken]));
      ended({ exit });
      return exit;
    } catch (error) {
      ended({ error });
      throw error;
    } finally {
      listener?.over(exit);
    }
  }
}
