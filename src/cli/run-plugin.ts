/** Runs a plugin in our place: its terminal is ours, and so is its exit code. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { AmiError } from "../core/errors.ts";

export async function runPlugin(path: string, args: readonly string[]): Promise<number> {
  // The terminal sends Ctrl-C to both of us; it is the plugin's to answer.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  try {
    return await new Promise((resolve, reject) => {
      const child = isBatch(path)
        ? spawn(process.env["ComSpec"] ?? "cmd.exe", ["/d", "/s", "/c", batchLine(path, args)], {
            stdio: "inherit",
            windowsVerbatimArguments: true,
          })
        : spawn(path, args, { stdio: "inherit" });
      child.once("error", (cause) =>
        reject(new AmiError("tool.missing", `${path} could not be started: ${cause.message}`, { cause })),
      );
      child.once("exit", (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
    });
  } finally {
    process.off("SIGINT", ignore);
  }
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
