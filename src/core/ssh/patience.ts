/**
 * Patience: the one deadline of a connection that is being made. It can say what it was waiting for, stops counting
 * while a person is asked, and ends early when the caller aborts.
 */
import { cancelled } from "../cancelled.ts";
import { AmiError } from "../errors.ts";

export { cancelled };

export type Phase =
  | "the TCP connection"
  | "the jump host"
  | "the proxy command"
  | "the keys"
  | "the banner"
  | "key exchange"
  | "authentication"
  | "the ssh of this machine";

export interface Patience {
  /** Aborted with an AmiError as reason: `ssh.connect` when time is up, `run.cancelled` when the caller aborted. */
  readonly signal: AbortSignal;
  /** From now on it waits for this, for at most `limit` milliseconds if given. */
  waitFor(phase: Phase, limit?: number): void;
  /** The clock stands still while `work` runs. */
  pause<T>(work: () => Promise<T>): Promise<T>;
  /** Nothing is waited for any more. */
  end(): void;
}

export interface PatienceOptions {
  /** What the target is called. */
  readonly name: string;
  /** `host:port`, for the message. */
  readonly at: string;
  readonly ms: number;
  readonly signal?: AbortSignal | undefined;
}

export function startPatience(options: PatienceOptions): Patience {
  const own = new AbortController();
  let phase: Phase = "the TCP connection";
  let left = options.ms;
  let limit = Number.POSITIVE_INFINITY;
  let since = performance.now();
  let pauses = 0;
  let timer: NodeJS.Timeout | undefined;

  const count = (): void => {
    const now = performance.now();
    if (pauses === 0) {
      left -= now - since;
      limit -= now - since;
    }
    since = now;
  };
  const arm = (): void => {
    clearTimeout(timer);
    if (pauses > 0 || own.signal.aborted) return;
    timer = setTimeout(() => own.abort(tooLate(options, phase)), Math.max(0, Math.min(left, limit)));
  };
  const cancel = (): void => {
    clearTimeout(timer);
    own.abort(cancelled(options.name, options.signal?.reason));
  };
  if (options.signal?.aborted === true) cancel();
  else options.signal?.addEventListener("abort", cancel, { once: true });
  arm();

  return {
    signal: own.signal,
    waitFor(next, most = Number.POSITIVE_INFINITY) {
      count();
      phase = next;
      limit = most;
      arm();
    },
    async pause(work) {
      count();
      pauses++;
      arm();
      try {
        return await work();
      } finally {
        count();
        pauses--;
        arm();
      }
    },
    end() {
      clearTimeout(timer);
      pauses = Number.POSITIVE_INFINITY;
      options.signal?.removeEventListener("abort", cancel);
    },
  };
}

function tooLate(options: PatienceOptions, phase: Phase): AmiError {
  return new AmiError("ssh.connect", `${options.at} did not answer in time: gave up waiting for ${phase}`, {
    host: options.name,
    hint: hints[phase],
    retry: "yes",
  });
}

const hints: Record<Phase, string> = {
  "the TCP connection":
    "is the machine up, and does a firewall drop the packets? Give it longer with ConnectTimeout in the ssh config",
  "the jump host": "try the jump host alone: ami-node ssh execute true --target JUMPHOST",
  "the proxy command": "run the ProxyCommand of the ssh config by hand and see whether it says SSH-2.0",
  "the keys": "does the agent answer? ssh-add -l tells; IdentityAgent none in the ssh config does without it",
  "the banner": "something accepts connections there but does not speak SSH, or the server is overloaded (MaxStartups)",
  "key exchange": "the server is overloaded, or a path with a smaller MTU swallows large packets",
  authentication: "the server takes long to decide: often a slow DNS lookup (UseDNS) or PAM module there",
  "the ssh of this machine": "see how far it comes by itself: ssh -v",
};
