/** Terminal: a real one (tmux) with a program in it, to type into and to look at. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { quoteArgv } from "../../src/core/argv.ts";
import type { Home } from "./run.ts";

const run = promisify(execFile);

export interface Terminal {
  /** Types text as it is. */
  type(text: string): Promise<void>;
  /** Presses keys by tmux's names: `Enter`, `C-c`, `Escape`. */
  press(...keys: readonly string[]): Promise<void>;
  /** Types text of any length, as a paste does. */
  paste(text: string): Promise<void>;
  /** What is to be seen now. */
  screen(): Promise<string>;
  /** The same with its colours, and where the cursor stands. */
  picture(): Promise<string>;
  /** Waits until the screen matches and returns it; throws with the last screen after `seconds` (default 20). */
  sees(pattern: RegExp, seconds?: number): Promise<string>;
  resize(columns: number, rows: number): Promise<void>;
  close(): Promise<void>;
}

let opened = 0;

/** Opens a terminal of 100x30 that runs `argv`, and then shows `exit: CODE`. */
export async function openTerminal(home: Home, argv: readonly string[]): Promise<Terminal> {
  const server = `ami-e2e-${process.pid}-${++opened}`;
  const tmux = (...args: readonly string[]): Promise<{ stdout: string }> =>
    run("tmux", ["-L", server, "-f", "/dev/null", ...args], { env: { ...home.env } });
  // The line stays on the screen until the terminal is closed.
  const line = `${quoteArgv(argv)}; printf '\\nexit: %s\\n' $?; exec sleep 600`;
  await tmux("new-session", "-d", "-x", "100", "-y", "30", "-c", home.dir, "sh", "-c", line);
  const screen = async (): Promise<string> => (await tmux("capture-pane", "-p")).stdout;
  return {
    screen,
    async paste(text) {
      const file = join(home.dir, `paste-${server}`);
      await writeFile(file, text);
      await tmux("load-buffer", file);
      await tmux("paste-buffer", "-r");
    },
    async picture() {
      const cursor = (await tmux("display-message", "-p", "#{cursor_x},#{cursor_y} #{pane_width}x#{pane_height}"))
        .stdout;
      return `${(await tmux("capture-pane", "-p", "-e")).stdout}${cursor}`;
    },
    type: async (text) => void (await tmux("send-keys", "-l", "--", text)),
    press: async (...keys) => void (await tmux("send-keys", ...keys)),
    async sees(pattern, seconds = 20) {
      const deadline = Date.now() + seconds * 1000;
      for (;;) {
        const now = await screen();
        if (pattern.test(now)) return now;
        if (Date.now() > deadline) throw new Error(`${String(pattern)} was not seen in ${seconds} s on:\n${now}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    resize: async (columns, rows) => void (await tmux("resize-window", "-x", String(columns), "-y", String(rows))),
    close: async () => void (await tmux("kill-server").catch(() => undefined)),
  };
}
