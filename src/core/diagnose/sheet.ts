/** Sheet: the findings of one diagnosis, stage by stage, and a word for each stage that was not come to. */
import { type Finding, type Stage, about, firstOf, stages } from "./finding.ts";

export interface Sheet {
  /** False when something failed: what comes after needs it. */
  add(stage: Stage, findings: readonly Finding[]): boolean;
  /** Everything, with a line for each stage that was not come to. */
  end(): Finding[];
}

export function openSheet(): Sheet {
  const findings: Finding[] = [];
  const done = new Set<Stage>();
  return {
    add(stage, more) {
      done.add(stage);
      findings.push(...more);
      return more.every(({ status }) => status !== "fail");
    },
    end() {
      const cause = firstOf(findings);
      const missed = stages.filter((stage) => !done.has(stage));
      return [
        ...findings,
        ...missed.map((stage) => about(stage).skipped(stage, `not examined, because ${cause?.says ?? "of the above"}`)),
      ];
    },
  };
}
