/** Process mark: tells whether a process is still the one it was, so that nobody is taken for a pid's earlier owner. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";

/** When it started, in words that no other process with this pid will ever have. Undefined: there is none. */
export async function processMark(pid: number): Promise<string | undefined> {
  if (process.platform !== "linux") return startedBy("ps", ["-o", "lstart=", "-p", String(pid)]);
  const [stat, boot] = await Promise.all([
    readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""),
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
  ]);
  // The name in parentheses may hold anything; what follows it does not.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state = "", ticks] = [fields[0], fields[19]];
  // A zombie is nobody: it only waits to be counted.
  return ticks === undefined || state === "Z" ? undefined : `${boot.trim()} ${ticks}`;
}

async function startedBy(program: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, args, (error, stdout) =>
      resolve(error === null && stdout.trim() !== "" ? stdout.trim() : undefined),
    );
  });
}
