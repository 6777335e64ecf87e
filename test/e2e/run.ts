/**
 * Run: ami-node as a user runs it, in an invented home. AMI_NODE_BIN names what is run: a standalone executable, or a
 * script for this Node (`bin/ami-node.js`); without it the source.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buffer } from "node:stream/consumers";
import type { Readable } from "node:stream";

export const root = resolve(import.meta.dirname, "../..");
const named = process.env.AMI_NODE_BIN ?? "";

/** What is tested. */
export const artefact: "source" | "script" | "binary" =
  named === "" ? "source" : /\.[cm]?js$/.test(named) ? "script" : "binary";

/** The words that start it. */
export const program: readonly [string, ...string[]] =
  artefact === "binary"
    ? [resolve(root, named)]
    : [process.execPath, artefact === "script" ? resolve(root, named) : join(root, "src/cli.ts")];

export interface Home {
  readonly dir: string;
  /** The whole environment of a run: nothing of the developer's own leaks in. */
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

export async function inventHome(): Promise<Home> {
  const dir = await mkdtemp(join(tmpdir(), "ami-e2e-"));
  const env = { HOME: dir, PATH: process.env.PATH ?? "", LANG: "C.UTF-8", USER: "someone", SHELL: "/bin/sh" };
  return {
    dir,
    env,
    // A program that was just killed may still write its log.
    remove: () => rm(dir, { recursive: true, force: true, maxRetries: 5 }),
  };
}

export interface Ran {
  /** 128+n for signal n. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** As it came. */
  readonly bytes: Buffer;
}

export interface RunOptions {
  readonly stdin?: string | Buffer | Readable | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
}

/** Runs to the end. Never rejects for an exit code. */
export async function ami(home: Home, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = start(home, args, options);
  const [bytes, stderr, code] = await Promise.all([
    child.stdout === null ? Buffer.alloc(0) : buffer(child.stdout),
    child.stderr === null ? Buffer.alloc(0) : buffer(child.stderr),
    exitOf(child),
  ]);
  return { code, stdout: bytes.toString(), stderr: stderr.toString(), bytes };
}

/** Starts it in the background, in a process group of its own. */
export function start(home: Home, args: readonly string[], options: RunOptions = {}): ChildProcess {
  const [file, ...first] = program;
  const child = spawn(file, [...first, ...args], {
    env: { ...home.env, ...options.env },
    cwd: options.cwd ?? home.dir,
    stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  if (child.stdin !== null) {
    // A program may end before it has read everything.
    child.stdin.on("error", () => undefined);
    if (typeof options.stdin === "string" || Buffer.isBuffer(options.stdin)) child.stdin.end(options.stdin);
    else options.stdin?.pipe(child.stdin);
  }
  return child;
}

export function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("close", (code, signal) =>
      done(code ?? 128 + (signal === "SIGINT" ? 2 : signal === "SIGKILL" ? 9 : 15)),
    );
  });
}
