/** Runs a plugin in our place: its terminal is ours, and so is its exit code. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { AmiError } from "../core/errors.ts";
import { systemCode, whyUnreadable } from "../core/unreadable.ts";

export async function runPlugin(path: string, args: readonly string[]): Promise<number> {
  // The terminal sends Ctrl-C to both of us; it is the plugin's to answer.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  try {
    return await start(path, args);
  } catch (cause) {
    // No first line (#!): then it is a script for sh, as shells have it.
    if (systemCode(cause) === "ENOEXEC") return await start("/bin/sh", [path, ...args]);
    const why = systemCode(cause) === "ENOENT" ? "the program of its first line (#!) is missing" : whyUnreadable(cause);
    throw new AmiError("tool.missing", `${path} could not be started: ${why}`, { cause });
  } finally {
    process.off("SIGINT", ignore);
  }
}

/** Rejects with what the system says when there was no start. */
async function start(path: string, args: readonly string[]): Promise<number> {
  // Bun throws at once what Node tells a moment later.
  const child = isBatch(path)
    ? spawn(process.env["ComSpec"] ?? "cmd.exe", ["/d", "/s", "/c", batchLine(path, args)], {
        stdio: "inherit",
        windowsVerbatimArguments: true,
      })
    : spawn(path, args, { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
  });
}

function isBatch(path: string): boolean {
  return process.platform === "win32" && /\.(cmd|bat)$/i.test(path);
}

/** cmd.exe reads a line twice: once for its own signs (escaped by ^), once as the C runtime does (quotes, backslashes). */
function batchLine(path: string, args: readonly string[]): string {
  const word = (text: string) =>
    `"${text.replaceAll(/(\\*)"/g, '$1$1\\"').replace(/(\\*)$/, "$1$1")}"`.replaceAll(/[()%!^"<>&|;, *?[\]]/g, "^$&");
  return `"${[path.replaceAll(/[()%!^"<>&|;, ]/g, "^$&"), ...args.map(word)].join(" ")}"`;
}
