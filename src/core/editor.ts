/** Editor: the user's own, on a file of this machine, in this terminal. */
import { spawn } from "node:child_process";
import { AmiError } from "./errors.ts";

/** VISUAL, else EDITOR, else vi: words for a shell, as git and crontab take them, so that `code --wait` is one. */
export function editorOf(env: NodeJS.ProcessEnv): string {
  return [env["VISUAL"], env["EDITOR"]].find((words) => words !== undefined && words.trim() !== "") ?? "vi";
}

/**
 * Resolves when it ended well. It is never ended by us: what is typed into it is the user's. Rejects with `tool.missing`
 * or, when it ended badly, with `run.refused`: that is how editors say that nothing is to come of it (`:cq`).
 */
export async function edit(file: string, editor: string): Promise<void> {
  const [program, ...words] =
    process.platform === "win32" ? [...editor.trim().split(/\s+/), file] : ["sh", "-c", `${editor} "$@"`, "sh", file]; // its words are the user's own line
  const child = spawn(program ?? "", words, { stdio: "inherit" });
  const { promise, resolve, reject } = Promise.withResolvers<number | string>();
  child.once("error", reject);
  child.once("close", (code, signal) => resolve(code ?? signal ?? "nothing"));
  const status = await promise.catch(() => 127);
  if (status === 0) return;
  if (status === 127) {
    throw new AmiError("tool.missing", `the editor ${editor} is not there`, {
      hint: "name one in EDITOR, as in: EDITOR=nano ami-node ssh edit ...",
    });
  }
  throw new AmiError("run.refused", `nothing was written: the editor ended with ${status}`);
}
