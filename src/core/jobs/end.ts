/** End: signals, stops and removes jobs. */
import { randomBytes } from "node:crypto";
import { AmiError } from "../errors.ts";
import type { Exit, Host } from "../host.ts";
import { removeProgram, signalProgram } from "./far.ts";
import { absentJob, askFar, jobExit } from "./job.ts";

/** To all processes of the job. One that has ended gets none. Rejects with `job.absent`. */
export async function signalJob(host: Host, id: string, signal: "INT" | "TERM", abort: AbortSignal): Promise<void> {
  const nonce = randomBytes(9).toString("hex");
  const said = await askFar(host, nonce, signalProgram(nonce, id, signal), { signal: abort });
  if (said.startsWith("absent")) throw absentJob(id, host.name);
}

export interface Stopped {
  /** `killed`: it did not end in its time of grace. */
  readonly how: "ended before" | "stopped" | "killed";
  /** Absent when its runner was gone. */
  readonly exit?: Exit | undefined;
}

/** TERM to the whole of it, and KILL to what is left after `grace` milliseconds. Rejects with `job.absent`, and `job.failed` when some do not end. */
export async function stopJob(host: Host, id: string, grace: number, signal: AbortSignal): Promise<Stopped> {
  const nonce = randomBytes(9).toString("hex");
  const said = await askFar(host, nonce, signalProgram(nonce, id, "TERM", grace), { signal });
  const [word, ...rest] = said.trim().split(/ +/);
  const [code = ""] = rest;
  if (word === "absent") throw absentJob(id, host.name);
  if (word === "remains") throw remaining(id, host.name, rest);
  const how = word === "ended" ? "ended before" : word === "killed" ? "killed" : "stopped";
  return { how, exit: /^\d+$/.test(code) ? jobExit(Number(code)) : undefined };
}

function remaining(id: string, host: string, pids: readonly string[]): AmiError {
  const some = pids.slice(0, 10).join(" ");
  return new AmiError("job.failed", `processes of job ${id} do not end, not even by KILL: ${some}`, {
    host,
    hint: `look at them there with: ps -fp ${some.replaceAll(" ", ",")}; those of root end by: sudo kill -KILL ${some}`,
  });
}

export type Removal = "removed" | "running" | "absent" | "kept";

/** What became of each, in their order; `kept`: its folder cannot be deleted. Those that run are left alone. */
export async function removeJobs(host: Host, ids: readonly string[], signal: AbortSignal): Promise<readonly Removal[]> {
  if (ids.length === 0) return [];
  const nonce = randomBytes(9).toString("hex");
  const said = await askFar(host, nonce, removeProgram(nonce, ids), { signal });
  const found = new Map(
    `@${nonce} ${said}`
      .split("\n")
      .filter((line) => line.startsWith(`@${nonce} `))
      .map((line) => line.split(" "))
      .map(([, id = "", word = ""]) => [id, word]),
  );
  return ids.map((id) => removalOf(found.get(id)));
}

function removalOf(word: string | undefined): Removal {
  return word === "removed" || word === "running" || word === "absent" ? word : "kept";
}
