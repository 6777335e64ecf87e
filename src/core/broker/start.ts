/** Start: the broker in the background, as a process that goes on when the command that wanted it has ended. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AmiError, asAmiError } from "../errors.ts";
import { ownProgram } from "../runtime-compat.ts";
import { askBroker } from "./ask.ts";
import { type BrokerPlace, openPlace } from "./place.ts";

/** Milliseconds. */
const longestStart = 10_000;

/**
 * Resolves when one listens, whoever started it; one of another version is told to go when it has finished. Rejects with
 * the reason why there can be none.
 */
export async function startBroker(place: BrokerPlace, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  if (await isThere(place)) return;
  openPlace(place);
  const [program, ...first] = ownProgram();
  const log = openSync(place.log, "w", 0o600);
  const gone = Promise.withResolvers<string>();
  try {
    const child = spawn(program, [...first, "ssh", "broker"], {
      detached: true,
      cwd: "/",
      stdio: ["ignore", log, log],
      env,
    });
    child.once("error", (error) => gone.resolve(error.message));
    child.once("exit", () => gone.resolve(readFileSync(place.log, "utf8").trim()));
    child.unref();
  } finally {
    closeSync(log);
  }
  let end: string | undefined;
  void gone.promise.then((words) => (end = words));
  for (const late = Date.now() + longestStart; ;) {
    await sleep(10, undefined, { signal });
    if (await isThere(place)) return;
    if (end !== undefined)
      throw new AmiError("run.failed", `the broker ended at once: ${end === "" ? "without a word" : end}`);
    if (Date.now() > late) throw new AmiError("run.failed", `the broker did not start within ${longestStart / 1000} s`);
  }
}

/** One of this version. Another one is told to go. */
async function isThere(place: BrokerPlace): Promise<boolean> {
  try {
    return (await askBroker(place, { wish: "list" })) !== undefined;
  } catch (error) {
    if (asAmiError(error).code !== "run.failed") throw error;
    await askBroker(place, { wish: "retire" });
    return false;
  }
}
