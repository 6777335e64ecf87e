/** Branches: lines of a growing tree. listr2 draws tasks that are known beforehand; here they come as events come. */
import type { Canvas } from "./canvas.ts";
import type { Drawing } from "./drawing.ts";
import type { Paint } from "./paint.ts";

export interface Branch {
  title: string;
  readonly state: "running" | "ok" | "failed";
  /** A new line below this one. */
  grow(title: string): Branch;
  /** Shows only these of its lines. */
  keep(branches: readonly Branch[]): void;
  /** Called again it does nothing. `pending`: well, and not done yet, so without the mark of what was done. */
  end(ok: boolean | "pending", title: string): void;
}

export interface Branches extends Omit<Drawing, "close"> {
  readonly root: Branch;
  /** Begins to draw; called again it does nothing. */
  start(): void;
  close(ok: boolean, title: string): Promise<void>;
}

/** Ten frames a second, however many events there are. */
const frameMs = 100;

/** `beforeFrame` brings titles up to date. */
export async function openBranches(canvas: Canvas, paint: Paint, beforeFrame: () => void): Promise<Branches> {
  const { DefaultRenderer, Listr, ListrLogger, ProcessOutput, figures } = await import("listr2");
  const drawing: { frames?: Frames } = {};
  const passing: (() => void)[] = [];

  class Frames extends DefaultRenderer {
    static override nonTTY = true;
    #last = 0;

    override async render(): Promise<void> {
      await super.render();
      drawing.frames = this;
    }

    /** listr2 asks for a frame at every change of every task. */
    override update(): void {
      const now = performance.now();
      if (now - this.#last < frameMs * 0.9) return;
      this.#last = now;
      if (passing.length > 0) this.pass();
      beforeFrame();
      super.update();
    }

    /** Wipes the frame and writes what waits to pass it. */
    pass(): void {
      const { hidden } = canvas;
      canvas.hidden = true;
      super.update();
      for (const write of passing.splice(0)) write();
      canvas.hidden = hidden;
    }
  }

  const rendererOptions = {
    logger: new ListrLogger({ processOutput: new ProcessOutput(canvas.stream, canvas.stream) }),
    formatOutput: "truncate",
    collapseSubtasks: false,
    collapseErrors: false,
    showErrorMessage: false,
    showSkipMessage: false,
    suffixSkips: false,
    color: colors(paint),
    icon: { FAILED_WITH_SUBTASKS: figures.cross },
  } as const;

  type Tasks = InstanceType<typeof Listr<unknown, typeof Frames>>["tasks"];
  type Task = Tasks[number];

  const branchOf = (task: Task, ending: PromiseWithResolvers<boolean>): Branch => {
    let state: Branch["state"] = "running";
    const lines = new Map<Branch, Task>();
    const own: Promise<unknown>[] = [];
    return {
      get title() {
        return task.title ?? "";
      },
      set title(title) {
        task.title = oneLine(title);
      },
      get state() {
        return state;
      },
      grow(title) {
        const end = Promise.withResolvers<boolean>();
        const list = new Listr<unknown, typeof Frames>(
          [{ title: oneLine(title), task: async (_, shown) => void ((await end.promise) || shown.skip()) }],
          { renderer: Frames, silentRendererCondition: true, exitOnError: false },
          task,
        );
        const [grown] = list.tasks;
        if (grown === undefined) throw new Error("listr2 made no task");
        const branch = branchOf(grown, end);
        lines.set(branch, grown);
        task.subtasks = [...(task.subtasks ?? []), grown];
        own.push(list.run());
        return branch;
      },
      keep(branches) {
        task.subtasks = branches.map((branch) => lines.get(branch)).filter((line) => line !== undefined);
      },
      end(ok, title) {
        if (state !== "running") return;
        state = ok === false ? "failed" : "ok";
        task.title = oneLine(title);
        // A task that fails takes those below it along that listr2 has not heard the end of.
        void Promise.allSettled(own).then(() =>
          ok === false ? ending.reject(new Error(title)) : ending.resolve(ok === true),
        );
      },
    };
  };

  const ending = Promise.withResolvers<boolean>();
  const list = new Listr<unknown, typeof Frames>([{ title: " ", task: () => ending.promise }], {
    renderer: Frames,
    rendererOptions,
    exitOnError: false,
    // Signals are answered by whoever started the run; listr2 would end the process.
    registerSignalListeners: false,
  });
  const [top] = list.tasks;
  if (top === undefined) throw new Error("listr2 made no task");
  const root = branchOf(top, ending);
  let running: Promise<unknown> | undefined;

  return {
    root,
    start() {
      running ??= list.run();
    },
    above(write) {
      passing.push(write);
      if (drawing.frames === undefined) for (const each of passing.splice(0)) each();
    },
    async suspend(work) {
      drawing.frames?.pass();
      canvas.hidden = true;
      try {
        return await work();
      } finally {
        canvas.hidden = false;
      }
    },
    async close(ok, title) {
      root.end(ok, title);
      if (running === undefined) {
        // Never drawn: nobody waits for it either.
        ending.promise.catch(() => {});
        return;
      }
      drawing.frames?.pass();
      await running;
      delete drawing.frames;
    },
  };
}

function oneLine(title: string): string {
  return title.split("\n", 1)[0] || " ";
}

function colors(paint: Paint): Record<string, (text?: string) => string> {
  const by = (color: (text: string) => string) => (text?: string) => color(text ?? "");
  const [green, yellow, red, dim] = [by(paint.green), by(paint.yellow), by(paint.red), by(paint.dim)];
  return {
    COMPLETED: green,
    COMPLETED_WITH_FAILED_SUBTASKS: yellow,
    COMPLETED_WITH_SISTER_TASKS_FAILED: red,
    FAILED: red,
    FAILED_WITH_SUBTASKS: red,
    PENDING: yellow,
    WAITING: dim,
    OUTPUT: dim,
    OUTPUT_WITH_BOTTOMBAR: dim,
    SKIPPED_WITH_COLLAPSE: yellow,
    SKIPPED_WITHOUT_COLLAPSE: yellow,
    RETRY: yellow,
    ROLLING_BACK: red,
    ROLLED_BACK: red,
    PAUSED: yellow,
    CANCELLED: red,
  };
}
