/** Handshake, judged: a login that broke off before anything was said about keys. Pure. */
import type { Rehearsal } from "../../ssh/rehearsal.ts";
import { about, type Finding, likely, there } from "../finding.ts";

/** A login that ended before a key was judged, although the probe came through. */
export function judgeHandshake({ phase, ms, outcome }: Rehearsal): Finding | undefined {
  const error = "error" in outcome ? outcome.error : undefined;
  const isEarly = phase !== "authentication" && error !== undefined && !error.code.startsWith("hostkey.");
  if (!isEarly) return undefined;
  return about("host key").fail("host-key.handshake", `${phase} breaks off: ${error.message}`, {
    evidence: [`it came as far as ${phase}, in ${ms.toFixed(0)} ms; the probe before came through`],
    cause: likely("packets are lost once more than a few travel, or the server is out of memory or processes"),
    fix: there("sudo journalctl -u ssh -n 20"),
  });
}
