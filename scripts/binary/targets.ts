/** Targets: every executable we make, and what must be true of it. */
import type { BunTarget } from "./bun.ts";

export interface BinaryTarget {
  /** As typed: `npm run binary -- linux-x64`. */
  readonly name: string;
  readonly file: string;
  /** Absent: made of Node, for the platform that makes it. */
  readonly bun?: BunTarget;
  readonly expect:
    | {
        readonly format: "elf";
        readonly machine: string;
        readonly interpreter: string;
        readonly needed: readonly string[];
      }
    | { readonly format: "macho"; readonly machine: string }
    | { readonly format: "pe"; readonly machine: string };
  /** How it is started here, when it can be: argv without arguments. Undefined: it cannot run here. */
  readonly runner: (file: string, here: Here) => readonly string[] | undefined;
}

/** The machine that builds. `has` finds a file or a program. */
export interface Here {
  readonly platform: string;
  readonly arch: string;
  has(path: string): boolean;
}

const glibc = ["libc.so.6", "ld-linux-x86-64.so.2", "libpthread.so.0", "libdl.so.2", "libm.so.6"];

export const targets: readonly BinaryTarget[] = [
  {
    name: "linux-x64",
    file: "ami-node-linux-x64",
    bun: { target: "bun-linux-x64", package: "@oven/bun-linux-x64" },
    expect: { format: "elf", machine: "x64", interpreter: "/lib64/ld-linux-x86-64.so.2", needed: glibc },
    runner: (file, here) =>
      isHere(here, "linux", "x64") && here.has("/lib64/ld-linux-x86-64.so.2") ? [file] : undefined,
  },
  {
    name: "linux-x64-musl",
    file: "ami-node-linux-x64-musl",
    bun: { target: "bun-linux-x64-musl", package: "@oven/bun-linux-x64-musl" },
    expect: {
      format: "elf",
      machine: "x64",
      interpreter: "/lib/ld-musl-x86_64.so.1",
      needed: ["libc.musl-x86_64.so.1"],
    },
    runner: (file, here) => (isHere(here, "linux", "x64") && here.has("/lib/ld-musl-x86_64.so.1") ? [file] : undefined),
  },
  {
    name: "linux-arm64",
    file: "ami-node-linux-arm64",
    bun: { target: "bun-linux-arm64", package: "@oven/bun-linux-aarch64" },
    expect: {
      format: "elf",
      machine: "arm64",
      interpreter: "/lib/ld-linux-aarch64.so.1",
      needed: ["libc.so.6", "ld-linux-aarch64.so.1", "libpthread.so.0", "libdl.so.2", "libm.so.6"],
    },
    runner: (file, here) => {
      if (isHere(here, "linux", "arm64")) return [file];
      const [emulator, libraries] = ["/usr/bin/qemu-aarch64-static", "/usr/aarch64-linux-gnu"];
      return here.has(emulator) && here.has(`${libraries}/lib/libc.so.6`)
        ? [emulator, "-L", libraries, file]
        : undefined;
    },
  },
  {
    name: "darwin-arm64",
    file: "ami-node-darwin-arm64",
    bun: { target: "bun-darwin-arm64", package: "@oven/bun-darwin-aarch64" },
    expect: { format: "macho", machine: "arm64" },
    runner: (file, here) => (isHere(here, "darwin", "arm64") ? [file] : undefined),
  },
  {
    name: "darwin-x64",
    file: "ami-node-darwin-x64",
    bun: { target: "bun-darwin-x64", package: "@oven/bun-darwin-x64" },
    expect: { format: "macho", machine: "x64" },
    runner: (file, here) => (isHere(here, "darwin", "x64") ? [file] : undefined),
  },
  {
    name: "windows-x64",
    file: "ami-node-windows-x64.exe",
    bun: { target: "bun-windows-x64", package: "@oven/bun-windows-x64" },
    expect: { format: "pe", machine: "x64" },
    runner: (file, here) => (isHere(here, "win32", "x64") ? [file] : undefined),
  },
  {
    name: "linux-x64-sea",
    file: "ami-node-linux-x64-sea",
    expect: {
      format: "elf",
      machine: "x64",
      interpreter: "/lib64/ld-linux-x86-64.so.2",
      needed: [...glibc, "libstdc++.so.6", "libgcc_s.so.1"],
    },
    runner: (file, here) => (isHere(here, "linux", "x64") ? [file] : undefined),
  },
];

function isHere(here: Here, platform: string, arch: string): boolean {
  return here.platform === platform && here.arch === arch;
}
