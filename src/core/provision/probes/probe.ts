/** Probe kinds: how many probes of one kind become one piece of program, and how its output becomes answers. */
import type { Answers, ProbeKind, ProbeOf } from "../../facts.ts";

export interface ProbeCompiler<K extends ProbeKind> {
  readonly kind: K;
  /**
   * POSIX sh (dash, bash, busybox ash) that prints the answers to all probes on stdout; a handful of forks however
   * many probes. Runs in a subshell with stdin from /dev/null, `LC_ALL=C`, `set -f` off, stderr dropped (say `2>&1`
   * where it is needed). Exit code ignored: a missing tool must show in what is printed.
   */
  sh(probes: readonly ProbeOf<K>[]): string;
  /** One answer for each probe, in the same order. Must accept any bytes; throws when the output makes no sense. */
  parse(output: Buffer, probes: readonly ProbeOf<K>[]): readonly Answers[K][];
}

/** Gives a probe kind its types and nothing else. */
export function defineProbe<K extends ProbeKind>(compiler: ProbeCompiler<K>): ProbeCompiler<K> {
  return compiler;
}

/** The compiler of a kind, loaded when first asked for. Generic over kinds: the registry guarantees that they match. */
export async function loadProbe(kind: ProbeKind): Promise<ProbeCompiler<ProbeKind>> {
  const { probes } = await import("./registry.ts");
  return (await probes[kind]()) as ProbeCompiler<ProbeKind>;
}
