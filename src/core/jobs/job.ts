/** Job: a program that runs on a host and needs nobody to be connected to it. What is known of one. */
import { randomInt } from "node:crypto";
import { z } from "zod";
import { meaning } from "../deed.ts";
import { AmiError } from "../errors.ts";
import { type Exit, type Host, signalOf } from "../host.ts";

export interface Job {
  readonly id: string;
  /** As it would be typed. */
  readonly command: string;
  readonly state: JobState;
  /** Milliseconds since 1970, by the clock there; the time now by that clock. */
  readonly started: number;
  readonly now: number;
  /** Bytes it has said. */
  readonly stdout: number;
  readonly stderr: number;
  /** The terminal session it is, where it is one. */
  readonly session?: string | undefined;
}

/** `lost`: it has no end and its runner is gone, since the machine was restarted or the runner killed. */
export type JobState =
  | { readonly is: "running" }
  | { readonly is: "ended"; readonly exit: Exit; readonly ended: number; readonly diskFull: boolean }
  | { readonly is: "lost" };

/** What is kept of the wish beside the job. */
export const aboutSchema = z.object({ command: z.string(), session: z.string().optional() });
export type About = z.output<typeof aboutSchema>;

/** Easily told apart and typed: no 0, 1, l or o. One id may stand for the same job on several hosts. */
export function newJobId(): string {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789";
  return Array.from({ length: 8 }, () => letters[randomInt(letters.length)]).join("");
}

/** As `newJobId` makes them; whatever else is typed is no name of a folder. */
export const jobIdSchema = z
  .string()
  .regex(/^[a-z2-9]{8}$/, "is no id of a job: they have 8 letters and digits, as in k3mfq7xz");

/** Of what the runner kept: shells say 128 + n for signal n, and so do we. */
export function jobExit(code: number): Exit {
  const signal = code > 128 ? signalOf(code - 128) : undefined;
  return signal === undefined ? { code } : { signal };
}

export function absentJob(id: string, host: string): AmiError {
  return new AmiError("job.absent", `there is no job ${id} of this user on it`, {
    host,
    hint: `list them with: ami-node ssh jobs list --target ${host}`,
  });
}

export function lostJob(id: string, host: string): AmiError {
  return new AmiError("job.lost", `nobody knows how job ${id} ended: the machine was restarted, or its runner killed`, {
    host,
    hint: `what it said until then is kept: ami-node ssh jobs logs ${id} --target ${host}`,
  });
}

/** Runs one of the programs of `far.ts` and reads the words after `@NONCE`. */
export async function askFar(
  host: Host,
  nonce: string,
  program: string,
  options: {
    signal?: AbortSignal | undefined;
    timeout?: number | undefined;
    cwd?: string;
    env?: Record<string, string>;
    /** Those of the user in it. */
    words?: readonly string[] | undefined;
  },
): Promise<string> {
  const { words = [], ...how } = options;
  const { exit, stdout, stderr } = await host.exec(meaning(["sh"], words), { ...how, stdin: program });
  const text = stdout.toString("utf8");
  const at = text.indexOf(`\n@${nonce} `);
  if (at >= 0) return text.slice(at + nonce.length + 3);
  const why = stderr.toString("utf8").trim() || `it ended with ${exit.signal ?? exit.code}`;
  throw new AmiError("job.failed", `the shell there did not answer: ${why}`, { host: host.name });
}
