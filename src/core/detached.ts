/** Detached: what work that goes on without its connection has in common, be it an apply run or a job. */
import { asAmiError } from "./errors.ts";

/** The connection is gone or could not be made; what runs on the far side may well go on. */
export function isLoss(error: unknown): boolean {
  return ["ssh.lost", "ssh.protocol", "ssh.connect", "host.spawn"].includes(asAmiError(error).code);
}

/** Shell words that print the bytes of a file that only grows, from one size of it up to another. */
export function sendPart(file: string, from: string, to: string): string {
  return `tail -c +$((${from}+1)) ${file} | head -c $((${to}-${from}))`;
}

/** A shell function: naps for a part of a second, or for a whole one where `sleep` knows no parts. */
export const napFunction = `ami_nap() { sleep "$1" 2>/dev/null || sleep 1; }`;
