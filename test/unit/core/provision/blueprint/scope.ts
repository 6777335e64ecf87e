/** Scopes for tests: one host, looked at or not. */
import type { OsFacts } from "../../../../../src/core/facts.ts";
import type { Scope } from "../../../../../src/core/provision/wish.ts";

export const os: OsFacts = {
  os: "linux",
  distro: "debian",
  version: "12",
  like: ["linux", "unix"],
  arch: "x64",
  kernel: "6.1.0",
  hostname: "web1.example",
  user: "root",
  uid: 0,
  home: "/root",
};

export function scopeOf(vars: Record<string, unknown>, facts?: OsFacts): Scope {
  return { vars, hostName: "web1", os: facts, registered: new Map() };
}
