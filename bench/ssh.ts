/**
 * Ssh beside OpenSSH's own client, cold and warm. Each round runs one after the other, and what counts is the median of
 * the ratios within a round, as machines are noisy.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openHosts } from "../src/core/hosts/open.ts";

export interface SshBench {
  readonly bin: string;
  readonly config: string;
  readonly host: string;
  /** Short, as sockets lie in it. */
  readonly dir: string;
  readonly rounds: number;
  readonly env: NodeJS.ProcessEnv;
}

/** Milliseconds of each round, by name. */
export type Milliseconds = Readonly<Record<string, readonly number[]>>;

/** A whole command: cold, and over connections that are open; beside them a program that only says its version. */
export async function measureCommands(bench: SshBench): Promise<Milliseconds> {
  const { bin, config, host, env } = bench;
  const own = [bin, "ssh", "execute", "true", "--target", host, "--ssh-config", config];
  const warm = { ...env, AMI_NODE_CONFIG_DIR: join(bench.dir, "warm") };
  mkdirSync(warm.AMI_NODE_CONFIG_DIR, { recursive: true, mode: 0o700 });
  writeFileSync(join(warm.AMI_NODE_CONFIG_DIR, "config.json"), '{"ssh":{"persist":"5m"}}');
  const master = startMaster(bench);
  try {
    return await inTurns(bench.rounds, {
      "ami-node": () => execFileSync(own[0] ?? "", own.slice(1), { env, stdio: "ignore" }),
      ssh: () => execFileSync("ssh", ["-F", config, host, "true"], { stdio: "ignore" }),
      "ami-node, warm": () => execFileSync(own[0] ?? "", own.slice(1), { env: warm, stdio: "ignore" }),
      "ami-node --version": () => execFileSync(bin, ["--version"], { env, stdio: "ignore" }),
      "ssh, warm": () => execFileSync("ssh", [...master.words, host, "true"], { stdio: "ignore" }),
    });
  } finally {
    spawnSync(bin, ["ssh", "close", "--all", "--yes"], { env: warm });
    master.stop();
  }
}

/** One after the other, and 100 at once, on one open connection: in this process, and by ssh with ControlMaster. */
export async function measureOpen(bench: SshBench): Promise<{ one: Milliseconds; many: Milliseconds }> {
  const { config: configFile, host: name } = bench;
  const hosts = openHosts({ ssh: { configFile } });
  const master = startMaster(bench);
  const host = await hosts.open({ kind: "ssh", name, host: name, vars: {}, groups: [] });
  const exec = async (): Promise<void> => {
    const { exit } = await host.exec(["true"]);
    if (exit.code !== 0) throw new Error(`true ended with ${JSON.stringify(exit)}`);
  };
  const all = (run: () => Promise<void>): Promise<unknown> => Promise.all(Array.from({ length: 100 }, run));
  try {
    const one = await inTurns(bench.rounds, { "ami-node": exec, ssh: master.run });
    const many = await inTurns(Math.ceil(bench.rounds / 8), {
      "ami-node": () => all(exec),
      ssh: () => all(master.run),
    });
    return { one, many };
  } finally {
    master.stop();
    await hosts.close();
  }
}

/** The median of what `name` took of the time of `peer`. */
export function ratio(times: Milliseconds, name: string, peer: string): number {
  const ratios = (times[name] ?? []).map((ms, round) => ms / (times[peer]?.[round] ?? NaN)).sort((a, b) => a - b);
  return ratios[Math.floor(ratios.length / 2)] ?? NaN;
}

/** OpenSSH's own way to keep a connection. */
function startMaster({ config, host, dir }: SshBench) {
  const path = join(dir, "master");
  const words = ["-F", config, "-o", `ControlPath=${path}`];
  execFileSync("ssh", [...words, "-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "-fN", host], {
    stdio: "ignore",
  });
  return {
    words,
    run: () =>
      new Promise<void>((resolve, reject) => {
        const child = spawn("ssh", [...words, host, "true"], { stdio: "ignore" });
        child.once("error", reject);
        child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`ssh ended with ${code}`))));
      }),
    stop: () => void spawnSync("ssh", [...words, "-O", "exit", host], { stdio: "ignore" }),
  };
}

/** The first rounds warm things up and are not counted. */
const warmUp = 3;

async function inTurns(rounds: number, tools: Readonly<Record<string, () => unknown>>): Promise<Milliseconds> {
  const times: Record<string, number[]> = {};
  for (let round = 0; round < rounds + warmUp; round++) {
    for (const [name, run] of Object.entries(tools)) {
      const begun = performance.now();
      await run();
      if (round >= warmUp) (times[name] ??= []).push(performance.now() - begun);
    }
  }
  return times;
}
