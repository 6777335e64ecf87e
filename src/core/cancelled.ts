/** Cancelled: an abort as the error people see. */
import { AmiError } from "./errors.ts";

/** The reason that was given, when it is an error of ours (a deadline, say); anything else is `run.cancelled`. */
export function cancelled(host: string | undefined, reason: unknown): AmiError {
  return reason instanceof AmiError ? reason : new AmiError("run.cancelled", "interrupted", { host, cause: reason });
}
