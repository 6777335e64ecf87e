/** Wait: a spinner on stderr while a verb that answers has not answered yet, and has taken long enough to be missed. */
import type { Drawing } from "./drawing.ts";

const patienceMs = 400;

/** `text` is asked for when the spinner appears. */
export function openWait(stderr: NodeJS.WriteStream, text: () => string, colored = false): Drawing {
  let spinner: { start(): unknown; stop(): unknown; clear(): unknown } | undefined;
  let isOver = false;
  const show = async (): Promise<void> => {
    const { default: ora } = await import("ora");
    if (isOver) return;
    // Typed words stay for whoever reads stdin.
    spinner = ora({ text: text(), stream: stderr, discardStdin: false, color: colored && "cyan" });
    spinner.start();
  };
  const timer = setTimeout(() => void show(), patienceMs);
  timer.unref();
  return {
    above(write) {
      if (!isOver) spinner?.clear();
      write();
    },
    async suspend(work) {
      spinner?.stop();
      try {
        return await work();
      } finally {
        if (!isOver) spinner?.start();
      }
    },
    async close() {
      isOver = true;
      clearTimeout(timer);
      spinner?.stop();
    },
  };
}
