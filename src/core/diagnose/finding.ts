/** Finding: one line of a diagnosis: what was seen, what probably is behind it, and what mends it. */
import { z } from "zod";

/** In the order they are examined; one that fails ends those that need it. */
export const stages = [
  "config",
  "resolve",
  "tcp",
  "banner",
  "offer",
  "algorithms",
  "host key",
  "auth",
  "session",
  "health",
  "speed",
] as const;

export type Stage = (typeof stages)[number];

/** What `--fix` may do: only here, never there. */
export const repair = z.discriminatedUnion("does", [
  z.object({ does: z.literal("chmod"), path: z.string(), mode: z.number().int() }),
  z.object({ does: z.literal("drop-line"), file: z.string(), line: z.number().int(), fingerprint: z.string() }),
]);

export const finding = z.object({
  check: z.string().describe("name of the diagnosis: tcp.refused"),
  stage: z.enum(stages),
  status: z.enum(["ok", "warn", "fail", "skipped"]),
  says: z.string().describe("one sentence; for what was skipped, because of what"),
  evidence: z.array(z.string()).describe("what was seen"),
  cause: z
    .object({ text: z.string(), confidence: z.enum(["certain", "likely", "possible"]) })
    .optional()
    .describe("what probably is behind it"),
  fix: z
    .object({ where: z.enum(["here", "there"]), command: z.string() })
    .optional()
    .describe("one command that mends it, and on which side"),
  repair: repair.optional().describe("what --fix would do"),
});

export type Finding = z.output<typeof finding>;
export type Repair = z.output<typeof repair>;
type Rest = Partial<Pick<Finding, "evidence" | "cause" | "fix" | "repair">>;

/** The findings of one stage: `const { ok, warn, fail } = about("tcp")`. */
export function about(stage: Stage) {
  const as =
    (status: Finding["status"]) =>
    (check: string, says: string, rest: Rest = {}): Finding => ({ check, stage, status, says, evidence: [], ...rest });
  return { ok: as("ok"), warn: as("warn"), fail: as("fail"), skipped: as("skipped") };
}

export const certain = (text: string) => ({ text, confidence: "certain" as const });
export const likely = (text: string) => ({ text, confidence: "likely" as const });
export const possible = (text: string) => ({ text, confidence: "possible" as const });
export const here = (command: string) => ({ where: "here" as const, command });
export const there = (command: string) => ({ where: "there" as const, command });

/** A line of sshd_config that comes before all others, checked before it counts. */
export function sshdLine(line: string) {
  const name = line.split(" ")[0]?.toLowerCase() ?? "";
  return there(`echo '${line}' | sudo tee /etc/ssh/sshd_config.d/00-${name}.conf && ${reloadSshd}`);
}

export const reloadSshd = "sudo sshd -t && sudo systemctl reload ssh";

/** The name of the illness: the first that fails, else the first warning. */
export function firstOf(findings: readonly Finding[]): Finding | undefined {
  return findings.find(({ status }) => status === "fail") ?? findings.find(({ status }) => status === "warn");
}
