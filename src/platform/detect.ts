/** Detect: which operating system and processor a machine has, in our words, and which adapter reads it. */
import { linux } from "./linux/info.ts";
import { macos } from "./macos/info.ts";
import type { Sections } from "./sections.ts";
import type { SystemInfo } from "./info.ts";

/** How one operating system is asked and read. */
export interface Adapter {
  /** What `uname -s` says there. */
  readonly uname: string;
  /** Lines of POSIX shell that print sections (see sections.ts), on top of those every system prints. */
  readonly program: string;
  /** Pure. A section that is missing or odd makes its fields absent. */
  read(sections: Sections): OwnInfo;
}

/** What an adapter adds to the common part. */
export type OwnInfo = Partial<Omit<SystemInfo, "os" | "time">> & {
  os?: Partial<SystemInfo["os"]>;
  time?: Partial<SystemInfo["time"]>;
};

/** The systems whose details can be read. Any other POSIX system answers with the common part. */
export const adapters: readonly Adapter[] = [linux, macos];

export function adapterOf(uname: string): Adapter | undefined {
  return adapters.find((adapter) => adapter.uname === uname);
}

/** `Linux` -> `linux`, `Darwin` -> `macos`. */
export function osName(uname: string): string {
  return systems[uname] ?? uname.toLowerCase();
}

/** `x86_64` -> `x64`, `aarch64` -> `arm64`; unknown ones as they are. */
export function archName(machine: string): string {
  return machines[machine] ?? machine;
}

const systems: Readonly<Record<string, string>> = { Darwin: "macos", SunOS: "solaris" };

const machines: Readonly<Record<string, string>> = {
  x86_64: "x64",
  amd64: "x64",
  AMD64: "x64",
  aarch64: "arm64",
  ARM64: "arm64",
  armv7l: "arm",
  armv6l: "arm",
  i686: "x86",
  i386: "x86",
  x86: "x86",
};
