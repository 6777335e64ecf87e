/** Text: a diagnosis for a person: what is wrong first, what is well only when asked for. Pure. */
import { visible } from "../visible.ts";
import type { Finding } from "./finding.ts";

export interface Shown {
  readonly host: string;
  readonly ms: number;
  readonly findings: readonly Finding[];
  readonly mended: readonly string[];
}

export function card({ host, ms, findings, mended }: Shown, verbose: boolean): string {
  const count = (status: Finding["status"]): number => findings.filter((each) => each.status === status).length;
  const shown = findings.filter(({ status }) => verbose || status === "fail" || status === "warn");
  // Stages behind the one that failed were not examined; one line says so for all.
  const missed = findings.filter(({ status, says }) => status === "skipped" && says.startsWith("not examined"));
  const [first] = missed;
  const head = [
    `${host}: ${headline(count("fail"), count("warn"))} (${(ms / 1000).toFixed(1)} s)`,
    ...mended.map((line) => `  mended  ${line}`),
  ];
  const tail =
    verbose || first === undefined ? [] : [`  skipped ${missed.map(({ stage }) => stage).join(", ")}: ${first.says}`];
  // Much of it was written by the server.
  return visible(`${[...head, ...shown.flatMap((each) => lines(each, verbose)), ...tail].join("\n")}\n`);
}

function headline(fails: number, warns: number): string {
  const warnings = warns === 0 ? "" : `${warns} warning${warns === 1 ? "" : "s"}`;
  if (fails === 0) return warnings === "" ? "healthy" : `works, with ${warnings}`;
  return `does not work${warnings === "" ? "" : `, and ${warnings}`}`;
}

function lines({ check, status, says, evidence, cause, fix }: Finding, verbose: boolean): string[] {
  const isWrong = status === "fail" || status === "warn";
  const inset = " ".repeat(10);
  return [
    `  ${status.padEnd(7)} ${says}${isWrong ? `  [${check}]` : ""}`,
    ...(isWrong || verbose ? evidence.map((line) => `${inset}${line}`) : []),
    ...(cause === undefined ? [] : [`${inset}cause (${cause.confidence}): ${cause.text}`]),
    ...(fix === undefined ? [] : [`${inset}fix ${fix.where}: ${fix.command}`]),
  ];
}
