/** Terminal: the one the user sits at, as commands that need one see it. */
import type { Context } from "../core/command.ts";

/** undefined: stdin or stdout is no terminal. */
export function openTerminal(
  stdin: NodeJS.ReadStream,
  stdout: NodeJS.WriteStream,
  env: NodeJS.ProcessEnv,
): Context["terminal"] {
  if (stdin.isTTY !== true || stdout.isTTY !== true) return undefined;
  return {
    stdin,
    stdout,
    get columns() {
      return stdout.columns;
    },
    get rows() {
      return stdout.rows;
    },
    term: env["TERM"] ?? "xterm",
    onResize(listener) {
      const tell = () => listener(stdout.columns, stdout.rows);
      stdout.on("resize", tell);
      return () => void stdout.off("resize", tell);
    },
    setRaw(raw) {
      stdin.setRawMode(raw);
    },
  };
}
