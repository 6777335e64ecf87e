/** Looks at hosts: lines in a pipe, a table that is drawn anew on a terminal. */
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import type { EventBody } from "../../../src/core/events.ts";
import type { HealthSample } from "../../../src/core/health.ts";
import { openHealthTable } from "../../../src/ui/health-table.ts";
import { noPaint } from "../../../src/ui/paint.ts";
import { openScreen } from "../../../src/ui/screen.ts";
import { openText } from "../../../src/ui/text.ts";
import { fakeTerminal, paper, tell } from "./streams.ts";

const gib = 2 ** 30;
const well: HealthSample = {
  host: "web1",
  at: 1,
  status: "ok",
  reasons: [],
  forecasts: [],
  connect: { tcp: 1, handshake: 20, login: 30, total: 51 },
  rtt: { count: 100, p50: 0.25, p95: 1.26, p99: 25 },
  throughput: { up: 2 ** 20, down: 2 ** 21, at: 1 },
  load: { one: 0.5, five: 1, fifteen: 1, processors: 2 },
  memory: { total: 8 * gib, available: 6 * gib },
  disks: [
    { mount: "/", size: 10 * gib, available: 8 * gib },
    { mount: "/var", size: 10 * gib, available: gib },
  ],
  errors: { tries: 10, failures: 1, ratio: 0.1 },
};
const gone: HealthSample = {
  host: "web2",
  at: 1,
  status: "bad",
  reasons: [{ status: "bad", says: "it is gone" }],
  forecasts: [],
  error: { code: "ssh.connect", message: "it is gone", retry: "yes" },
};
const look = (sample: HealthSample): EventBody => ({ kind: "health", sample });
const error = { code: "ssh.lost", message: "it was lost", retry: "unknown" } as const;
const waiting = (attempt: number): EventBody => ({
  kind: "recovery",
  host: "web1",
  attempt,
  wait: 500,
  outcome: "waiting",
  error,
});

describe("lines", () => {
  it("tell each look on stdout, what breaks and is mended on stderr", () => {
    const { write, stdout, stderr } = paper();
    tell(openText({ write, quiet: false, verbose: false }).listener, [
      look({ ...well, forecasts: [{ about: "disk", mount: "/var", says: "/var full in about 3 days", in: 1 }] }),
      look(gone),
      waiting(1),
      { kind: "recovery", host: "web1", attempt: 1, outcome: "failed", error },
      waiting(2),
      { kind: "recovery", host: "web1", attempt: 2, outcome: "recovered" },
    ]);
    expect(stdout()).toBe(
      "1970-01-01T00:00:00Z web1 ok  connect 51 ms  p50/p95/p99 0.25/1.3/25 ms  up 1.0 MiB/s  down 2.0 MiB/s  " +
        "load 0.50  memory 25 %  disk /var 90 %  errors 10 %; trend /var full in about 3 days\n" +
        "1970-01-01T00:00:00Z web2 bad  connect -  p50/p95/p99 -  up -  down -  load -  memory -  disk -  errors -; " +
        "bad it is gone\n",
    );
    expect(stderr()).toBe(
      "warning: web1: it was lost; connecting again in 500 ms (attempt 1)\n" +
        "warning: web1: it was lost; connecting again in 500 ms (attempt 2)\n" +
        "web1: connected again\n",
    );
  });
});

describe("the table", () => {
  /** What is to be seen in the end, by a terminal that knows the codes that are used. */
  const seen = (written: string): string[] => {
    const screen: string[] = [""];
    for (const [, up, , text] of written.matchAll(/\x1b\[(\d+)A\r(\x1b\[J)|([^\x1b]+)/g)) {
      if (up !== undefined) screen.splice(screen.length - 1 - Number(up), Number(up) + 1, "");
      else
        for (const [i, line] of (text ?? "").split("\n").entries())
          if (i === 0) screen.push((screen.pop() ?? "") + line);
          else screen.push(line);
    }
    return screen.slice(0, -1);
  };
  const draw = async (story: readonly EventBody[], columns = 120, rows = 24): Promise<string[]> => {
    const { stream, written } = fakeTerminal(columns, rows);
    const drawing = openHealthTable(stream, noPaint);
    tell(drawing.listener, story);
    await drawing.close();
    return seen(written());
  };
  const start: EventBody = { kind: "run.start", title: "ssh health", hosts: ["web1", "web2"] };

  it("has a row for each host in their order, also before it was looked at, and remarks below", async () => {
    const [head, ...rows] = await draw([start, look(gone)]);
    expect(head).toMatch(/^host {2}status {2}connect {2}p50\/p95\/p99 {2}up/);
    expect(rows.map((row) => row.replaceAll(/ +/g, " "))).toEqual([
      "web1 ... - - - - - - - -",
      "web2 bad - - - - - - - -",
      "",
      "web2: bad it is gone",
    ]);
  });

  it("shows the last look only, and lets lines pass above it", async () => {
    const { stream, written } = fakeTerminal(120, 24);
    const drawing = openHealthTable(stream, noPaint);
    tell(drawing.listener, [start, look(gone), look(well)]);
    drawing.above(() => void stream.write("a warning\n"));
    tell(drawing.listener, [look({ ...gone, reasons: [{ status: "bad", says: "still gone" }] })]);
    drawing.above(() => void stream.write("another\n"));
    await drawing.close();
    const lines = seen(written());
    expect(lines.slice(0, 3).map((line) => line.slice(0, 9))).toEqual(["a warning", "another", "host  sta"]);
    expect(lines.filter((line) => line.includes("gone"))).toEqual(["web2: bad   still gone"]);
    expect(lines.filter((line) => line.startsWith("web1"))).toHaveLength(1);
  });

  it("goes while a question is asked", async () => {
    const { stream, written } = fakeTerminal(120, 24);
    const drawing = openHealthTable(stream, noPaint);
    tell(drawing.listener, [start, look(well)]);
    drawing.above(() => undefined);
    const during = await drawing.suspend(async () => seen(written()).filter((line) => line !== ""));
    await drawing.close();
    expect(during).toEqual([]);
    expect(seen(written())).toHaveLength(3);
  });

  it("never needs more room than there is", async () => {
    const hosts = Array.from({ length: 40 }, (_, i) => ({ ...well, host: `a-rather-long-name-of-host-${i}` }));
    const lines = await draw(hosts.map(look), 50, 12);
    expect(lines).toHaveLength(10);
    expect(lines.at(-1)).toBe("... 32 more lines");
    for (const line of lines) expect(line.length).toBeLessThan(50);
  });
});

describe("the screen", () => {
  const live = () => true;
  const open = async (isTTY: boolean) => {
    const [stdout, stderr] = [fakeTerminal(120, 24, isTTY), fakeTerminal(120, 24, isTTY)];
    const screen = await openScreen(
      { stdout: stdout.stream, stderr: stderr.stream },
      {
        command: { name: "ssh health", shows: "events", args: {}, live },
        options: { json: false, quiet: false, verbose: false },
        color: { flag: false, setting: "auto" },
        env: {},
        mask: (text) => text,
      },
    );
    tell(screen.listener, [look(well), waiting(1), waiting(2), look(gone)]);
    await screen.close();
    return { stdout: stripVTControlCharacters(stdout.written()), stderr: stripVTControlCharacters(stderr.written()) };
  };

  it("draws the table on a terminal, and warns once of a host that stays away", async () => {
    const { stdout, stderr } = await open(true);
    expect(stdout).toMatch(/host +status/);
    expect(stdout).not.toContain("1970");
    expect(stderr.match(/connecting again/g)).toHaveLength(1);
  });

  it("prints lines in a pipe", async () => {
    const { stdout, stderr } = await open(false);
    expect(stdout.match(/^1970.*$/gm)).toHaveLength(2);
    expect(stderr.match(/connecting again/g)).toHaveLength(2);
  });
});
