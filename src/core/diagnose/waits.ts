/** Waits: how long each step of a diagnosis may take before it counts as silence. */
import type { SshConfig } from "../ssh/config/ssh-config.ts";

/** Milliseconds. A healthy machine never comes near them. */
export interface Waits {
  readonly resolve: number;
  readonly tcp: number;
  readonly banner: number;
  /** For the answer to a large packet: a lost one is sent again by TCP after a second or so. */
  readonly large: number;
  readonly login: number;
  readonly session: number;
  readonly sample: number;
}

const usualWaits: Waits = {
  resolve: 10_000,
  tcp: 5000,
  banner: 6000,
  large: 4000,
  login: 30_000,
  session: 10_000,
  sample: 250,
};

/** ConnectTimeout of the ssh config shortens every wait of the way. */
export function waitsOf({ connectTimeout }: SshConfig, given: Partial<Waits> = {}): Waits {
  const waits = { ...usualWaits, ...given };
  if (connectTimeout === undefined) return waits;
  const most = (ms: number): number => Math.min(ms, connectTimeout * 1000);
  return {
    ...waits,
    tcp: most(waits.tcp),
    banner: most(waits.banner),
    large: most(waits.large),
    login: connectTimeout * 1000,
  };
}
