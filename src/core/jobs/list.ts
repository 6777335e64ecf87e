/** List: the jobs of a user on a host. */
import { randomBytes } from "node:crypto";
import type { Host } from "../host.ts";
import { listProgram } from "./far.ts";
import { type About, type Job, type JobState, aboutSchema, askFar, jobExit } from "./job.ts";

/** The oldest first. */
export async function listJobs(host: Host, signal: AbortSignal): Promise<readonly Job[]> {
  const nonce = randomBytes(9).toString("hex");
  return readJobs(await askFar(host, nonce, listProgram(nonce), { signal }), nonce);
}

/** Pure: the answer of `listProgram`. */
export function readJobs(said: string, nonce: string): readonly Job[] {
  const [body = "", tail = ""] = said.split(`@${nonce} end `);
  const now = Number(tail) * 1000;
  const lines = body.split("\n").slice(1);
  const jobs: Job[] = [];
  for (let i = 0; i + 3 < lines.length; i += 4) {
    const [, id = "", alive, stdout, stderr] = (lines[i] ?? "").split(" ");
    const started = (lines[i + 1] ?? "").split(" ").at(4);
    jobs.push({
      id,
      state: stateOf(alive === "1", lines[i + 2] ?? ""),
      started: Number(started) * 1000,
      now,
      stdout: Number(stdout),
      stderr: Number(stderr),
      ...readAbout(lines[i + 3] ?? ""),
    });
  }
  return jobs.sort((a, b) => a.started - b.started);
}

function stateOf(alive: boolean, end: string): JobState {
  const [word, code, ended, full] = end.split(" ");
  if (word !== "exit") return { is: alive ? "running" : "lost" };
  return { is: "ended", exit: jobExit(Number(code)), ended: Number(ended) * 1000, diskFull: full === "full" };
}

/** One whose description was spoiled is a job all the same. */
function readAbout(line: string): About {
  try {
    return aboutSchema.parse(JSON.parse(line));
  } catch {
    return { command: "?" };
  }
}
