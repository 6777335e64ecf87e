/** Prometheus: every line against the rules of the text format 0.0.4 and those that promtool adds. */
import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { exposition } from "../../../../src/core/health/prometheus.ts";
import type { HealthSample } from "../../../../src/core/health.ts";
import { where } from "../../../servers/engines.ts";

const full: HealthSample = {
  host: "web1",
  at: 1_700_000_000_123,
  status: "warn",
  reasons: [],
  forecasts: [
    { about: "disk", mount: "/var", says: "", in: 3_600_000 },
    { about: "login", says: "" },
  ],
  connect: { tcp: 1.5, handshake: 20, login: 30, total: 51.5 },
  rtt: { count: 100, p50: 0.25, p95: 1, p99: 2.86 },
  throughput: { up: 1e6, down: 2.5e21, at: 0 },
  load: { one: 0.5, five: 1, fifteen: 2, processors: 4 },
  memory: { total: 2 ** 33, available: 2 ** 32 },
  disks: [
    { mount: "/", size: 1000, available: 0, inodesUsed: 0.5 },
    { mount: '/odd "name"\\ with\nline', size: 1000, available: 10 },
  ],
  errors: { tries: 4, failures: 1, ratio: 0.25 },
};
const gone: HealthSample = {
  host: "web2",
  at: 1_700_000_000_456,
  status: "bad",
  reasons: [{ status: "bad", says: "no" }],
  forecasts: [],
  error: { code: "ssh.connect", message: "no", retry: "yes" },
};

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Throws what is wrong. */
function parse(text: string): Sample[] {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line does not end");
  const samples: Sample[] = [];
  const helped = new Set<string>();
  const typed = new Map<string, string>();
  const over = new Set<string>();
  let current = "";
  for (const line of text.split("\n").slice(0, -1)) {
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (line.startsWith("#") && meta === null) throw new Error(`no comment of ours: ${line}`);
    const name = meta?.[2] ?? /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0] ?? "";
    if (name === "") throw new Error(`no name: ${line}`);
    if (name !== current) {
      if (over.has(name)) throw new Error(`${name} is torn apart`);
      over.add(current);
      current = name;
    }
    if (meta?.[1] === "HELP") {
      if (helped.has(name)) throw new Error(`second HELP of ${name}`);
      if (/\\(?![\\n])/.test(meta[3] ?? "")) throw new Error(`odd escape: ${line}`);
      helped.add(name);
    } else if (meta !== null) {
      if (typed.has(name)) throw new Error(`second TYPE of ${name}`);
      if (!/^(counter|gauge|histogram|summary|untyped)$/.test(meta[3] ?? "")) throw new Error(`odd type: ${line}`);
      if (samples.some((sample) => sample.name === name)) throw new Error(`TYPE after samples of ${name}`);
      typed.set(name, meta[3] ?? "");
    } else samples.push(readSample(line, name, typed.get(name), helped.has(name)));
  }
  const keys = samples.map(({ name, labels }) => JSON.stringify([name, Object.entries(labels)]));
  const double = keys.find((key, i) => keys.indexOf(key) !== i);
  if (double !== undefined) throw new Error(`twice: ${double}`);
  return samples;
}

function readSample(line: string, name: string, type: string | undefined, hasHelp: boolean): Sample {
  if (type === undefined || !hasHelp) throw new Error(`${name} has no TYPE or no HELP`);
  let rest = line.slice(name.length);
  const labels: Record<string, string> = {};
  if (rest.startsWith("{")) {
    rest = rest.slice(1);
    while (!rest.startsWith("}")) {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|(?=\}))/.exec(rest);
      if (label === null) throw new Error(`odd label in: ${line}`);
      const [all, key = "", value = ""] = label;
      if (key in labels || key.startsWith("__")) throw new Error(`label ${key} in: ${line}`);
      labels[key] = value.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char));
      rest = rest.slice(all.length);
    }
    rest = rest.slice(1);
  }
  const value = /^ ([+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/i.exec(rest)?.[1];
  if (value === undefined) throw new Error(`odd value, or a time stamp, in: ${line}`);
  // What `promtool check metrics` complains of.
  const units = /_(milliseconds|ms|minutes|hours|days|kilobytes|megabytes|percent|kb|mb)(_|$)/.exec(name);
  if (units !== null) throw new Error(`${name}: not a base unit`);
  if (type === "counter" ? !name.endsWith("_total") : name.endsWith("_total")) throw new Error(`${name}: _total`);
  if (type === "gauge" && /_(count|sum|bucket)$/.test(name)) throw new Error(`${name}: suffix of a histogram`);
  if (type !== "summary" && "quantile" in labels) throw new Error(`${name}: quantile`);
  if (type !== "histogram" && "le" in labels) throw new Error(`${name}: le`);
  if (/[A-Z]/.test(name) || name.includes(type)) throw new Error(`${name}: case, or its type in its name`);
  return { name, labels, value: Number(value) };
}

it("is valid, tells all in base units, and leaves out what is not known", () => {
  const samples = parse(exposition([full, gone]));
  const of = (name: string, labels: Record<string, string> = {}) =>
    samples
      .filter((sample) => sample.name === name && Object.entries(labels).every(([k, v]) => sample.labels[k] === v))
      .map(({ value }) => value);
  expect(of("ami_ssh_up", { host: "web1" })).toEqual([1]);
  expect(of("ami_ssh_up", { host: "web2" })).toEqual([0]);
  expect(of("ami_health_status", { host: "web2" })).toEqual([0, 0, 1]);
  expect(of("ami_health_check_timestamp_seconds", { host: "web1" })).toEqual([1_700_000_000.123]);
  expect(of("ami_ssh_connect_seconds", { phase: "handshake" })).toEqual([0.02]);
  expect(of("ami_ssh_round_trip_seconds", { percentile: "95" })).toEqual([0.001]);
  expect(of("ami_ssh_throughput_bytes_per_second", { direction: "down" })).toEqual([2.5e21]);
  expect(of("ami_host_filesystem_available_bytes", { mountpoint: '/odd "name"\\ with\nline' })).toEqual([10]);
  expect(of("ami_host_filesystem_full_in_seconds")).toEqual([3600]);
  expect(samples.filter(({ labels }) => labels["host"] === "web2").map(({ name }) => name)).toEqual([
    "ami_ssh_up",
    ...Array.from({ length: 3 }, () => "ami_health_status"),
    "ami_health_check_timestamp_seconds",
  ]);
  expect(exposition([full])).toContain('percentile="99"} 0.00286\n');
  expect(exposition([])).toBe("");
});

it.each([
  ["a value that is none", 'x{a="b"} -\n'],
  ["an escape that is none", '# HELP x y\n# TYPE x gauge\nx{a="\\t"} 1\n'],
  ["no type", "# HELP x y\nx 1\n"],
  ["a name in two places", "# HELP x y\n# TYPE x gauge\nx 1\n# HELP z y\n# TYPE z gauge\nz 1\nx 2\n"],
  ["the same twice", "# HELP x y\n# TYPE x gauge\nx 1\nx 1\n"],
  ["no end of line", "# HELP x y\n# TYPE x gauge\nx 1"],
  ["a unit that is none", "# HELP x_ms y\n# TYPE x_ms gauge\nx_ms 1\n"],
])("the rules find %s", (_name, text) => {
  expect(() => parse(text)).toThrow();
});

const promtool = where("promtool");
it.runIf(promtool !== undefined)("promtool finds nothing wrong with it", () => {
  const { status, stdout, stderr } = spawnSync(promtool ?? "", ["check", "metrics"], {
    input: exposition([full, gone]),
    encoding: "utf8",
  });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
});
