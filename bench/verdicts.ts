/**
 * Verdicts: what was measured, held against what was promised. What was not measured, or by a run that failed, is a FAIL
 * that says so; what cannot be measured here, as the tool beside ours is missing, is a skip that says so.
 */
export interface Run {
  readonly label: string;
  readonly rc: number;
}

export interface Verdict {
  readonly what: string;
  readonly measured: string;
  readonly goal: string;
  readonly outcome: "pass" | "FAIL" | "skip";
}

export function judge(what: string, value: number, sign: "<=" | ">=" | "<", goal: number, unit = ""): Verdict {
  const wanted = `${sign} ${goal}${unit}`;
  // No run at all gives NaN, or infinity as their highest.
  if (!Number.isFinite(value)) return { what, measured: "nothing", goal: wanted, outcome: "FAIL" };
  const passes = sign === "<=" ? value <= goal : sign === "<" ? value < goal : value >= goal;
  return { what, measured: `${value.toFixed(2)}${unit}`, goal: wanted, outcome: passes ? "pass" : "FAIL" };
}

export function skip(what: string, missing: string): Verdict {
  return { what, measured: `no ${missing}`, goal: "", outcome: "skip" };
}

/** One FAIL for each label with runs that ended badly: their figures are not worth comparing. */
export function judgeRuns(runs: readonly Run[]): readonly Verdict[] {
  const bad = runs.filter((run) => run.rc !== 0);
  return [...new Set(bad.map((run) => run.label))].map((label) => ({
    what: label,
    measured: `exit ${[...new Set(bad.filter((run) => run.label === label).map((run) => run.rc))].join(", ")}`,
    goal: "exit 0",
    outcome: "FAIL",
  }));
}

/** How many times docker's time the version may take: Node's kind starts slower (docs/decisions/0001). */
export function startGoal(bin: string): number {
  return bin.endsWith("-sea") ? 3.5 : 2;
}

/**
 * Did all tools leave the same tree on all hosts, the first time and again? Reads what bench-blueprint.sh says: a line
 * `bp100/ansible/10 first: 10 0a1b2c3d4e5f` for each, with how many hosts hold which digest.
 */
export function judgeTrees(said: string, hosts: number, resources: number, tools: readonly string[]): Verdict {
  const what = `${hosts} x ${resources}: trees of all tools`;
  const goal = "1";
  const digests = new Set<string>();
  for (const name of tools.flatMap((tool) =>
    ["first", "noop"].map((round) => `bp${resources}/${tool}/${hosts} ${round}`),
  )) {
    const line = said.split("\n").find((one) => one.startsWith(`${name}:`));
    const found = [...(line ?? "").matchAll(/(\d+) ([0-9a-f]{12})(?= |$)/g)];
    const counted = found.reduce((sum, [, count]) => sum + Number(count), 0);
    if (counted !== hosts) return { what, measured: `${name}: ${counted} of ${hosts} hosts`, goal, outcome: "FAIL" };
    for (const [, , digest = ""] of found) digests.add(digest);
  }
  return { what, measured: `${digests.size} different`, goal, outcome: digests.size === 1 ? "pass" : "FAIL" };
}
