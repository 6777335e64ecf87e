/** Report: what came of each host, and the exit code that all of it makes. */
import { z } from "zod";
import { type AmiError, exitCodeOf, exitCodes } from "./errors.ts";

/** An error as it travels in `--json`: see `ErrorJson`. */
export const errorSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  retry: z.enum(["yes", "no", "unknown"]),
  host: z.string().optional(),
});

/** `failed`: the work was done and came to a bad end, a non-zero exit for instance. */
export type Ended = "ok" | "failed" | AmiError;

/**
 * Exit code of work on many hosts: 130 when it was interrupted, 4 when no host was reached, 3 when any failed, else 0.
 * For a single host the reason itself decides.
 */
export function exitOfMany(ends: readonly Ended[]): number {
  const codes = ends.map((end) =>
    end === "ok" ? exitCodes.ok : end === "failed" ? exitCodes.targetFailed : exitCodeOf(end),
  );
  if (codes.includes(exitCodes.interrupted)) return exitCodes.interrupted;
  const [only] = codes;
  if (codes.length === 1 && only !== undefined) return only;
  const isUnreached = (code: number): boolean => code === exitCodes.unreachable || code === exitCodes.hostKey;
  if (codes.length > 0 && codes.every(isUnreached)) return exitCodes.unreachable;
  return codes.every((code) => code === exitCodes.ok) ? exitCodes.ok : exitCodes.targetFailed;
}
