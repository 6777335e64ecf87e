/** Health table: the last look at each host, drawn anew with each; what must stay passes above it. */
import type { Event, Listener } from "../core/events.ts";
import { type HealthSample, healthCells, healthRemarks, healthTitles } from "../core/health.ts";
import type { Drawing } from "./drawing.ts";
import { paintStatus } from "./health.ts";
import type { Paint } from "./paint.ts";
import { cut, table, width } from "./table.ts";

export interface HealthTable extends Drawing {
  readonly listener: Listener;
  /** All hosts have a row: nothing is left to be said by lines. */
  readonly crowded: false;
}

const frameMs = 100;

export function openHealthTable(terminal: NodeJS.WriteStream, paint: Paint): HealthTable {
  const samples = new Map<string, HealthSample>();
  let drawn: readonly string[] = [];
  let isHidden = false;
  let frame: NodeJS.Timeout | undefined;

  const wipe = (): void => {
    // A terminal that has become narrower has broken lines in two.
    const rows = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(width(line) / (terminal.columns || 80))), 0);
    if (rows > 0) terminal.write(`\x1b[${rows}A\r\x1b[J`);
    drawn = [];
  };
  const draw = (): void => {
    clearTimeout(frame);
    frame = undefined;
    wipe();
    if (isHidden || samples.size === 0) return;
    drawn = lines([...samples.values()], { columns: terminal.columns || 80, rows: terminal.rows || 24, paint });
    terminal.write(drawn.map((line) => `${line}\n`).join(""));
  };
  const onResize = (): void => draw();
  terminal.on("resize", onResize);

  return {
    listener(event: Event) {
      if (event.kind === "run.start") for (const host of event.hosts) samples.set(host, unseen(host));
      if (event.kind === "health") samples.set(event.sample.host, event.sample);
      if (event.kind === "run.start" || event.kind === "health") frame ??= setTimeout(draw, frameMs);
    },
    crowded: false,
    above(write) {
      wipe();
      write();
      draw();
    },
    async suspend(work) {
      isHidden = true;
      draw();
      try {
        return await work();
      } finally {
        isHidden = false;
        draw();
      }
    },
    async close() {
      terminal.off("resize", onResize);
      draw();
    },
  };
}

/** Not looked at yet. */
function unseen(host: string): HealthSample {
  return { host, at: 0, status: "ok", reasons: [], forecasts: [] };
}

function lines(
  samples: readonly HealthSample[],
  { columns, rows, paint }: { columns: number; rows: number; paint: Paint },
): string[] {
  const [head = "", ...body] = table(
    healthTitles.map((title) => ({ title })),
    samples.map((sample) => healthCells(sample).map((cell, i) => (i === 1 && sample.at === 0 ? "..." : cell))),
    { columns: columns - 1 },
  );
  const painted = body.map((line, i) => {
    const sample = samples[i];
    return sample === undefined || sample.status === "ok" ? line : paintStatus(sample.status, line, paint);
  });
  const remarks = samples.flatMap((sample) =>
    healthRemarks(sample).map((remark) => cut(`${sample.host}: ${remark}`, columns - 1)),
  );
  const all = [paint.bold(head), ...painted, ...(remarks.length === 0 ? [] : ["", ...remarks])];
  const most = Math.max(2, rows - 2);
  return all.length <= most ? all : [...all.slice(0, most - 1), paint.dim(`... ${all.length - most + 1} more lines`)];
}
