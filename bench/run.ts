/**
 * bench: ami-node beside the tools its user would otherwise pick, in one run, as ratios.
 *   npm run bench [-- SCENARIO...] [--bin FILE] [--json FILE]
 * Scenarios: start, noop, fleet, reach, promises, ssh, transfer (default: all); transfer takes --size MIB (default 1024). Needs
 * root, openssh-server, cc, bc; what is compared with docker, ansible, pssh and rsync is skipped, and said to be, where
 * there is none. Exits 1 when a promise is not kept.
 * CPU, turns and bytes are stable; wall time is compared only within this run.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { measureLatency } from "./latency.ts";
import { type SshBench, measureCommands, leastRatio, measureOpen, ratio, startServer } from "./ssh.ts";
import { type TransferBench, measureFile, measureTree, prepareDelta } from "./transfer.ts";
import { type Run, type Verdict, judge, judgeRuns, judgeTrees, skip, startGoal } from "./verdicts.ts";

interface Row extends Run {
  readonly wall: number;
  readonly cpu: number;
  readonly server: number;
  readonly rss1_mb: number;
  readonly rss_mb: number;
  readonly turns?: number;
  readonly out?: number;
  readonly in?: number;
}

const root = resolve(import.meta.dirname, "..");
// The shared rig, where the project is checked out beside it, is the one all tools are compared with.
const shared = resolve(root, "../shared/bench");
const rig = existsSync(join(shared, "fleet.sh")) ? shared : join(root, "bench/rig");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bin: { type: "string" },
    json: { type: "string" },
    repeat: { type: "string", default: "5" },
    size: { type: "string", default: "1024" },
  },
});
const bin = resolve(values.bin ?? process.env["AMI_NODE_BIN"] ?? join(root, "dist/bin/ami-node-linux-x64"));
const repeat = Number(values.repeat);
const verdicts: Verdict[] = [];
const work = mkdtempSync(join(tmpdir(), "ami-bench-"));
const environment = { ...process.env, FLEET_DIR: join(work, "fleet"), AMI_NODE_CONFIG_DIR: join(work, "config") };

const scenarios: Record<string, () => Promise<void> | void> = { start, noop, fleet, reach, promises, ssh, transfer };

if (!existsSync(bin)) {
  console.error(`bench: ${bin} does not exist; make it with: npm run build && npm run binary`);
  process.exit(6);
}
try {
  const names = positionals.length === 0 ? Object.keys(scenarios) : positionals;
  for (const name of names) {
    const scenario = scenarios[name];
    if (scenario === undefined)
      throw new Error(`unknown scenario ${name}; there are ${Object.keys(scenarios).join(", ")}`);
    console.log(`\n== ${name} (load ${loadavg()[0]?.toFixed(1)}, ${cpus().length} cores)`);
    await scenario();
  }
} finally {
  stopFleet();
  rmSync(work, { recursive: true, force: true });
}
report();

/** Start-up: how long until the version is printed. */
function start(): void {
  const all: [string, string[]][] = [
    ["ami-node", [bin, "--version"]],
    ["docker", ["docker", "--version"]],
    ["ssh -V", ["ssh", "-V"]],
  ];
  const what = "--version / docker --version";
  const peers = all.filter(([, [program = ""]]) => program === bin || has(program));
  const times = new Map<string, number[]>(peers.map(([name]) => [name, []]));
  const runs: Run[] = [];
  for (let round = 0; round < 40; round++) {
    for (const [name, argv] of peers) {
      const begun = process.hrtime.bigint();
      const { status } = spawnSync(argv[0] ?? "", argv.slice(1), { env: environment });
      runs.push({ label: argv.join(" "), rc: status ?? 1 });
      if (round >= 5) times.get(name)?.push(Number(process.hrtime.bigint() - begun) / 1e6);
    }
  }
  const ms = (name: string): number => median(times.get(name) ?? []);
  for (const [name] of peers) console.log(`${name.padEnd(10)} ${ms(name).toFixed(1)} ms`);
  verdicts.push(...judgeRuns(runs));
  if (!has("docker")) verdicts.push(skip(what, "docker"));
  else verdict(what, ms("ami-node") / ms("docker"), "<=", startGoal(bin), "x");
}

/** 100 resources, nothing to change, one host behind a true round trip of 40 ms. */
function noop(): void {
  startFleet(1, 40);
  const ssh = rows("ssh", (out) => {
    for (let i = 0; i < repeat; i++) {
      sh(
        `FLEET_DIR=${environment.FLEET_DIR} ${rig}/measure.py -o ${out} -l ssh -- ssh -F ${environment.FLEET_DIR}/ssh_config h001 true`,
      );
      blueprint(out, 1, 100, i === 0 ? "sh-naive" : "", 1, i === 0);
    }
  });
  const own = pick(ssh, "bp100/ami-node/1/noop");
  const wall = median(own.map((r) => r.wall)) / median(pick(ssh, "ssh").map((r) => r.wall));
  show(ssh);
  verdict("no-op 100 at 40 ms: turns", median(own.map((r) => r.turns ?? NaN)), "<=", 14);
  verdict("no-op 100 at 40 ms: KB sent", median(own.map((r) => (r.out ?? NaN) / 1000)), "<=", 12, " KB");
  verdict("no-op 100 at 40 ms: wall / ssh host true", wall, "<=", 1.5, "x");
  verdict("no-op 100: client CPU", median(own.map((r) => r.cpu)), "<=", 0.35, " s");
  verdict(
    "first apply 100 at 40 ms: turns",
    median(pick(ssh, "bp100/ami-node/1/first").map((r) => r.turns ?? NaN)),
    "<=",
    16,
  );
  stopFleet();
}

/** 10 hosts, 100 resources, nothing to change, beside ansible-playbook. */
function fleet(): void {
  const hasPeer = has("ansible-playbook");
  startFleet(10);
  const all = rows("fleet", (out) => {
    blueprint(out, 10, 100, hasPeer ? "ansible" : "", 1, true);
    blueprint(out, 10, 100, "", 3, false);
  });
  show(all);
  const own = pick(all, "bp100/ami-node/10/noop");
  const peer = pick(all, "bp100/ansible/10/noop");
  for (const [name, key] of [["wall", "wall"] as const, ["CPU", "cpu"] as const]) {
    const what = `10 x 100 no-op: ansible ${name} / ours`;
    if (!hasPeer) verdicts.push(skip(what, "ansible-playbook"));
    else verdict(what, median(peer.map((r) => r[key])) / median(own.map((r) => r[key])), ">=", 50, "x");
  }
  stopFleet();
}

/** `true` on 200 hosts, cold, beside pssh. */
function reach(): void {
  const hasPeer = has("parallel-ssh");
  startFleet(200);
  const all = rows("reach", (out) =>
    sh(
      `${rig}/bench-exec.sh -n 200 -r 2 -o ${out} -t "${hasPeer ? "pssh" : ""}" --add ami-node '${bin} ssh execute true --ssh-config $FLEET_DIR/ssh_config --targets-file $SUB/hosts --parallel $W'`,
    ),
  );
  show(all);
  const own = pick(all, "exec/ami-node/200");
  const peer = pick(all, "exec/pssh/200");
  const what = "true on 200 hosts: wall / pssh";
  if (!hasPeer) verdicts.push(skip(what, "parallel-ssh"));
  else verdict(what, median(own.map((r) => r.wall)) / median(peer.map((r) => r.wall)), "<=", 0.5, "x");
  verdict("true on 200 hosts: resident memory", Math.max(...own.map((r) => r.rss1_mb)), "<=", 150, " MB");
  stopFleet();
}

/** The absolute promises of the documents. */
async function promises(): Promise<void> {
  startFleet(1);
  const config = join(environment.FLEET_DIR, "ssh_config");
  const { connect, command } = await measureLatency(config, "h001");
  verdict("connect (log in and be ready)", median(connect), "<", 2000, " ms");
  verdict("command on an open connection", median(command), "<", 100, " ms");
  const all = rows("promises", (out) => {
    for (let i = 0; i < repeat * 2; i++) {
      sh(`${rig}/measure.py -o ${out} -l ssh -- ssh -F ${config} h001 true`);
      sh(`${rig}/measure.py -o ${out} -l ami-node -- ${bin} ssh execute true --target h001 --ssh-config ${config}`);
    }
  });
  const extra = (median(pick(all, "ami-node").map((r) => r.wall)) - median(pick(all, "ssh").map((r) => r.wall))) * 1000;
  verdict("overhead of a whole command over ssh's own", extra, "<", 100, " ms");
  stopFleet();
}

/** Commands beside ssh: cold, warm, and many at once. */
async function ssh(): Promise<void> {
  const server = await startServer();
  const bench: SshBench = {
    bin,
    config: server.configFile,
    host: server.name,
    dir: work,
    rounds: repeat * 8,
    env: environment,
  };
  try {
    const whole = await measureCommands(bench);
    const { one, many } = await measureOpen(bench);
    for (const [what, times] of Object.entries({ command: whole, "on one connection": one, "100 at once": many }))
      for (const [name, all] of Object.entries(times))
        console.log(`${what}: ${name.padEnd(20)} ${median(all).toFixed(1)} ms (least ${Math.min(...all).toFixed(1)})`);
    for (const [what, times, name, peer, goal] of [
      ["cold exec / ssh host true", whole, "ami-node", "ssh", 0.75],
      ["warm exec / --version", whole, "ami-node, warm", "ami-node --version", 1.3],
      ["exec in process / ssh with ControlMaster", one, "ami-node", "ssh", 0.4],
      ["100 execs at once / ssh with ControlMaster", many, "ami-node", "ssh", 0.4],
    ] as const) {
      console.log(`${what}: ${leastRatio(times, name, peer).toFixed(2)}x of the least`);
      verdict(what, ratio(times, name, peer), "<=", goal, "x");
    }
  } finally {
    await server.stop();
  }
}

/** Files beside scp and rsync, near and behind a true round trip of 40 ms. Speeds: theirs / ours in seconds. */
function transfer(): void {
  const size = Number(values.size) * 2 ** 20;
  const dir = join(work, "files");
  mkdirSync(dir);
  const bench: TransferBench = {
    bin,
    config: join(environment.FLEET_DIR, "ssh_config"),
    host: "h001",
    dir,
    rounds: repeat,
    env: environment,
  };
  const faster = (seconds: Record<string, number[]>, peer: string): number =>
    median((seconds[peer] ?? []).map((theirs, round) => theirs / (seconds["ami-node"]?.[round] ?? NaN)));
  startFleet(1);
  const near = measureFile(bench, size);
  verdict(`${values.size} MiB up, loopback: speed / scp`, faster(near.up, "scp"), ">=", 1, "x");
  verdict(`${values.size} MiB down, loopback: speed / scp`, faster(near.down, "scp"), ">=", 0.9, "x");
  const tree = measureTree(bench, 5000);
  verdict("5,000 x 4 KiB up: time / scp -r", 1 / faster(tree, "scp -r"), "<=", 0.3, "x");
  verdict("5,000 x 4 KiB up: time / rsync -a", 1 / faster(tree, "rsync -a"), "<=", 1.1, "x");
  stopFleet();
  startFleet(1, 40);
  const far = measureFile(bench, size);
  verdict(`${values.size} MiB up, 40 ms: speed / scp`, faster(far.up, "scp"), ">=", 2, "x");
  verdict(`${values.size} MiB down, 40 ms: speed / scp`, faster(far.down, "scp"), ">=", 2, "x");
  const changed = prepareDelta(bench, size, ["ours", "theirs"]);
  const wire = rows("delta", (out) => {
    const run = (label: string, words: string): void => sh(`${rig}/measure.py -o ${out} -l ${label} -- ${words}`);
    run("ours", `${bin} ssh transfer --delta --ssh-config ${bench.config} ${changed} h001:${join(dir, "ours")}`);
    // Both are of one size, and may be of one second.
    run("rsync", `rsync -a --ignore-times -e 'ssh -F ${bench.config}' ${changed} h001:${join(dir, "theirs")}`);
  });
  const bytes = (label: string): number => median(pick(wire, label).map((row) => (row.out ?? NaN) + (row.in ?? NaN)));
  verdict(`${values.size} MiB, 1 % changed: bytes / rsync`, bytes("ours") / bytes("rsync"), "<=", 1.2, "x");
  stopFleet();
}

function blueprint(out: string, hosts: number, resources: number, peers: string, times: number, keep: boolean): void {
  const own = `${bin} provision --blueprint $BP/ami-node.yaml --ssh-config $FLEET_DIR/ssh_config --targets-file $SUB/hosts --parallel $W`;
  const said = spawnSync(
    "bash",
    [
      "-c",
      `${rig}/bench-blueprint.sh -n ${hosts} -b ${resources} -r ${times} -o ${out} -t "${peers}" --add ami-node '${own}'`,
    ],
    { env: environment, encoding: "utf8" },
  );
  if (!keep) return;
  for (const line of said.stderr.split("\n").filter((one) => /^bp\d+\//.test(one))) console.log(line);
  const tools = [...peers.split(" ").filter((name) => name !== ""), "ami-node"];
  verdicts.push(judgeTrees(said.stderr, hosts, resources, tools));
}

function has(program: string): boolean {
  return spawnSync("sh", ["-c", 'command -v "$1"', "sh", program]).status === 0;
}

function startFleet(hosts: number, rtt?: number): void {
  sh(`${rig}/fleet.sh start ${hosts}${rtt === undefined ? "" : ` --rtt ${rtt}`}`);
}

function stopFleet(): void {
  spawnSync("bash", ["-c", `${rig}/fleet.sh stop`], { env: environment });
}

function sh(line: string): void {
  execFileSync("bash", ["-c", line], { env: environment, stdio: ["ignore", "inherit", "inherit"] });
}

/** Rows that a scenario wrote; those of runs that failed are told, and are not worth comparing. */
function rows(name: string, fill: (out: string) => void): Row[] {
  const out = join(work, `${name}.jsonl`);
  writeFileSync(out, "");
  fill(out);
  const lines = readFileSync(out, "utf8").split("\n");
  const all = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Row);
  verdicts.push(...judgeRuns(all));
  return all;
}

function pick(all: readonly Row[], label: string): Row[] {
  return all.filter((row) => row.label === label && row.rc === 0);
}

function show(all: readonly Row[]): void {
  for (const label of new Set(all.map((row) => row.label))) {
    const of = all.filter((row) => row.label === label);
    const m = (key: "wall" | "cpu" | "server" | "rss1_mb"): string => median(of.map((row) => row[key])).toFixed(2);
    const link =
      of[0]?.turns === undefined
        ? ""
        : `  turns ${median(of.map((r) => r.turns ?? NaN))}  out ${(median(of.map((r) => r.out ?? NaN)) / 1000).toFixed(1)} KB`;
    console.log(
      `${label.padEnd(28)} n=${of.length}  wall ${m("wall")} s  cpu ${m("cpu")}  server ${m("server")}  rss ${m("rss1_mb")} MB${link}`,
    );
  }
}

function verdict(...words: Parameters<typeof judge>): void {
  verdicts.push(judge(...words));
}

function report(): void {
  console.log("\nresult");
  for (const { what, measured, goal, outcome } of verdicts)
    console.log(`${outcome}  ${what.padEnd(46)} ${measured.padStart(12)}${goal === "" ? "" : `   goal ${goal}`}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(verdicts, null, 2)}\n`);
  if (verdicts.some(({ outcome }) => outcome === "FAIL")) process.exitCode = 1;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[half] ?? NaN) : ((sorted[half - 1] ?? NaN) + (sorted[half] ?? NaN)) / 2;
}
