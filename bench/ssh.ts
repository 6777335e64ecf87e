/**
 * Ssh beside OpenSSH's own client, cold and warm. Each round runs one after the other, and what counts is the median of
 * the ratios within a round, as machines are noisy.
 */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openHosts } from "../src/core/hosts/open.ts";
import { type Sshd, startSshd } from "../test/servers/sshd.ts";

export interface SshBench {
  readonly bin: string;
  readonly config: string;
  readonly host: string;
  /** Short, as sockets lie in it. */
  readonly dir: string;
  readonly rounds: number;
  readonly env: NodeJS.ProcessEnv;
}

/** A server of its own: a bare home, and as many sessions on one connection as ControlMaster could wish for. */
export function startServer(): Promise<Sshd> {
  return startSshd({ config: ["LogLevel INFO", "MaxSessions 200"] });
}

/** Milliseconds of each round, by name. */
export type Milliseconds = Readonly<Record<string, readonly number[]>>;

/** A whole command: cold, and over connections that are open; beside them a program that only says its version. */
export async function measureCommands(bench: SshBench): Promise<Milliseconds> {
  const { bin, config, host, env } = bench;
  const own = ["ssh", "execute", "true", "--target", host, "--ssh-config", config];
  const warm = { ...env, AMI_NODE_CONFIG_DIR: join(bench.dir, "warm") };
  mkdirSync(warm.AMI_NODE_CONFIG_DIR, { recursive: true, mode: 0o700 });
  writeFileSync(join(warm.AMI_NODE_CONFIG_DIR, "config.json"), '{"ssh":{"persist":"5m"}}');
  const master = await startMaster(bench);
  try {
    return await inTurns(bench.rounds, {
      "ami-node": () => ran(bin, own, env),
      ssh: () => ran("ssh", ["-F", config, host, "true"]),
      "ami-node, warm": () => ran(bin, own, warm),
      "ami-node --version": () => ran(bin, ["--version"], env),
      "ssh, warm": master.run,
    });
  } finally {
    await ran(bin, ["ssh", "close", "--all", "--yes"], warm);
    await master.stop();
  }
}

/** One after the other, and 100 at once, on one open connection: in this process, and by ssh with ControlMaster. */
export async function measureOpen(bench: SshBench): Promise<{ one: Milliseconds; many: Milliseconds }> {
  const { config: configFile, host: name } = bench;
  const hosts = openHosts({ ssh: { configFile } });
  const master = await startMaster(bench);
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
    await master.stop();
    await hosts.close();
  }
}

/** The median of what `name` took of the time of `peer`. */
export function ratio(times: Milliseconds, name: string, peer: string): number {
  const ratios = (times[name] ?? []).map((ms, round) => ms / (times[peer]?.[round] ?? NaN)).sort((a, b) => a - b);
  return ratios[Math.floor(ratios.length / 2)] ?? NaN;
}

/** Their fastest rounds: what there is left when nothing else goes on. */
export function leastRatio(times: Milliseconds, name: string, peer: string): number {
  return Math.min(...(times[name] ?? [])) / Math.min(...(times[peer] ?? []));
}

/** OpenSSH's own way to keep a connection. */
async function startMaster({ config, host, dir }: SshBench) {
  const words = ["-F", config, "-o", `ControlPath=${join(dir, "master")}`];
  await ran("ssh", [...words, "-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "-fN", host]);
  return {
    run: () => ran("ssh", [...words, host, "true"]),
    stop: () => ran("ssh", [...words, "-O", "exit", host]),
  };
}

/** Milliseconds after which a program is stuck, and the bench with it. */
const longest = 60_000;

/** To its end. The server is heard meanwhile: one that nobody listens to stops at its next word. */
function ran(program: string, words: readonly string[], env = process.env): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { env, stdio: "ignore", timeout: longest, killSignal: "SIGKILL" });
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${program} ${words.join(" ")} ended with ${code ?? signal}`)),
    );
  });
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
