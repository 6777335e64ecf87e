/**
 * Transfer beside scp, scp -r and rsync -a: each round runs one after the other, and what counts is the ratio within a
 * round, as machines are noisy.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

export interface TransferBench {
  readonly bin: string;
  /** ssh_config, and a folder that `host` and this machine both see. */
  readonly config: string;
  readonly host: string;
  readonly dir: string;
  readonly rounds: number;
  readonly env: NodeJS.ProcessEnv;
}

/** Seconds of each round, by the name of the tool. */
type Seconds = Record<string, number[]>;

/** One file of `size` bytes, up and down. */
export function measureFile(bench: TransferBench, size: number): { up: Seconds; down: Seconds } {
  const { bin, config, host, dir } = bench;
  const file = join(dir, "file");
  fill(file, size);
  const own = (from: string, to: string): string[] => [bin, "ssh", "transfer", "--ssh-config", config, from, to];
  const scp = (from: string, to: string): string[] => ["scp", "-q", "-F", config, from, to];
  const up = inTurns(bench, {
    "ami-node": () => own(file, `${host}:${join(dir, "ours")}`),
    scp: () => scp(file, `${host}:${join(dir, "theirs")}`),
  });
  const down = inTurns(bench, {
    "ami-node": () => own(`${host}:${file}`, join(dir, "ours")),
    scp: () => scp(`${host}:${file}`, join(dir, "theirs")),
  });
  for (const name of ["ours", "theirs"]) execFileSync("cmp", [file, join(dir, name)]);
  for (const name of ["file", "ours", "theirs"]) rmSync(join(dir, name));
  return { up, down };
}

/** 4 KiB files, up, into a folder that is not there. */
export function measureTree(bench: TransferBench, files: number): Seconds {
  const { bin, config, host, dir } = bench;
  const tree = join(dir, "tree");
  mkdirSync(tree);
  for (let i = 0; i < files; i++) writeFileSync(join(tree, `file${i}`), randomBytes(4096));
  const to = (name: string): string => {
    rmSync(join(dir, name), { recursive: true, force: true });
    return `${host}:${join(dir, name)}`;
  };
  const found = inTurns(bench, {
    "ami-node": () => [bin, "ssh", "transfer", "--ssh-config", config, tree, to("ours")],
    "scp -r": () => ["scp", "-q", "-r", "-F", config, tree, to("theirs")],
    "rsync -a": () => ["rsync", "-a", "-e", `ssh -F ${config}`, `${tree}/`, to("synced")],
  });
  for (const name of ["ours", "theirs", "synced"]) execFileSync("diff", ["-r", tree, join(dir, name)]);
  for (const name of ["tree", "ours", "theirs", "synced"]) rmSync(join(dir, name), { recursive: true });
  return found;
}

/** A file of `size` bytes at the other end, and here with one of a hundred blocks of 32 KiB changed. */
export function prepareDelta({ dir }: TransferBench, size: number, copies: readonly string[]): string {
  const file = join(dir, "changed");
  fill(file, size);
  for (const copy of copies) execFileSync("cp", [file, join(dir, copy)]);
  const handle = openSync(file, "r+");
  for (let at = 0; at < size; at += 100 * 32 * 1024) writeSync(handle, randomBytes(32 * 1024), 0, 32 * 1024, at);
  closeSync(handle);
  return file;
}

/** The first round warms the caches and is not counted. */
function inTurns(bench: TransferBench, tools: Readonly<Record<string, () => string[]>>): Seconds {
  const seconds: Seconds = {};
  for (let round = 0; round <= bench.rounds; round++) {
    for (const [name, words] of Object.entries(tools)) {
      const [program = "", ...rest] = words();
      const begun = performance.now();
      execFileSync(program, rest, { env: bench.env, stdio: "ignore" });
      if (round > 0) (seconds[name] ??= []).push((performance.now() - begun) / 1000);
    }
  }
  return seconds;
}

function fill(file: string, size: number): void {
  const handle = openSync(file, "w");
  for (let left = size; left > 0; left -= 2 ** 24) writeSync(handle, randomBytes(Math.min(left, 2 ** 24)));
  closeSync(handle);
}
