/** Way: how to get sockets to a server: straight, over a jump host, or through a program; and what probes on them see. */
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { asAmiError } from "../../errors.ts";
import { localHost } from "../../hosts/local.ts";
import type { SshConfig } from "../../ssh/config/ssh-config.ts";
import type { Link } from "../../ssh/link.ts";
import { startPatience } from "../../ssh/patience.ts";
import type { SshPool } from "../../ssh/pool.ts";
import { type Probe, probe } from "../../ssh/probe.ts";
import { type Route, openRoute } from "../../ssh/route.ts";
import { about, here, likely } from "../finding.ts";
import { judgeResolve } from "../judge/resolve.ts";
import { judgeTcp } from "../judge/tcp.ts";
import type { Sheet } from "../sheet.ts";
import type { Waits } from "../waits.ts";
import { observeResolve } from "./resolve.ts";
import { at, observeTcp } from "./tcp.ts";

/** Any number of times. */
export interface Way {
  open(signal: AbortSignal): Promise<Duplex>;
  readonly jump: Link | undefined;
  /** The ProxyCommand, and what it said on stderr so far. */
  readonly proxy?: { readonly command: string; said(): string } | undefined;
}

interface WayWish {
  readonly name: string;
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  readonly config: SshConfig;
  readonly pool: SshPool;
  readonly waits: Waits;
  readonly sheet: Sheet;
  readonly signal: AbortSignal;
}

/** Undefined: there is none, and the sheet says why. */
export async function openWay(wish: WayWish): Promise<Way | undefined> {
  const { proxyJump = "none", proxyCommand = "none" } = wish.config;
  if (proxyJump !== "none") return overJump(wish, proxyJump);
  return proxyCommand === "none" ? straight(wish) : throughProxy(wish, proxyCommand);
}

async function straight({ name, host, user, config, waits, sheet, signal }: WayWish): Promise<Way | undefined> {
  const resolved = await observeResolve(config, waits.resolve);
  signal.throwIfAborted();
  if (!sheet.add("resolve", judgeResolve(resolved))) return undefined;
  const { addresses } = resolved;
  const { port, bindAddress } = config;
  const tcp = await observeTcp({ port, addresses, bindAddress, patience: waits.tcp, local: localHost(), signal });
  sheet.add("tcp", judgeTcp(tcp, `${user === undefined ? "" : `${user}@`}${host}`));
  if (tcp.socket === undefined) return undefined;
  const others: Way["open"] = async (own) => (await routeTo(name, config, undefined, waits.tcp, own)).socket;
  return { jump: undefined, open: firstThen(tcp.socket, others) };
}

async function overJump(wish: WayWish, jumps: string): Promise<Way | undefined> {
  const { name, config, waits, sheet, signal, pool } = wish;
  const { ok, fail } = about("tcp");
  sheet.add("resolve", [about("resolve").skipped("resolve", `the jump host ${jumps} looks the name up`)]);
  try {
    const jump = await pool.jump(wish, signal);
    const open: Way["open"] = async (own) => (await routeTo(name, config, jump, waits.tcp, own)).socket;
    const first = await open(signal);
    sheet.add("tcp", [ok("tcp", `the jump host ${jumps} leads to ${at(config.hostName, config.port)}`)]);
    return { jump, open: firstThen(first, open) };
  } catch (error) {
    signal.throwIfAborted();
    const { message, hint } = asAmiError(error);
    sheet.add("tcp", [
      fail("tcp.jump", `the jump host ${jumps} does not lead to ${at(config.hostName, config.port)}`, {
        evidence: [message, ...(hint === undefined ? [] : [hint])],
        cause: likely("either the jump host itself cannot be logged in to, or it cannot reach the server"),
        fix: here(`ami-node ssh diagnose ${jumps.split(",").at(-1)}`),
      }),
    ]);
    return undefined;
  }
}

/** What the program does cannot be seen; that it speaks ssh is seen by the probe. */
function throughProxy({ name, config, waits, sheet }: WayWish, command: string): Way {
  for (const stage of ["resolve", "tcp"] as const)
    sheet.add(stage, [about(stage).skipped(stage, `the ProxyCommand does it: ${command}`)]);
  let said: (() => string) | undefined;
  return {
    jump: undefined,
    proxy: { command, said: () => said?.() ?? "" },
    async open(signal) {
      const route = await routeTo(name, config, undefined, waits.tcp, signal);
      said = route.proxySaid;
      return route.socket;
    },
  };
}

/** The connection that was made to see whether one can be made is used. */
function firstThen(first: Duplex, others: Way["open"]): Way["open"] {
  let isUsed = false;
  return async (signal) => {
    if (isUsed) return others(signal);
    isUsed = true;
    return first;
  };
}

async function routeTo(
  name: string,
  config: SshConfig,
  jump: Link | undefined,
  ms: number,
  signal: AbortSignal,
): Promise<Route> {
  const patience = startPatience({ name, at: at(config.hostName, config.port), ms, signal });
  try {
    return await openRoute(name, config, jump, patience);
  } finally {
    patience.end();
  }
}

/** Once; again after a moment when it was turned away without a reason, or lost its large packet. */
export async function probeAll(way: Way, waits: Waits, signal: AbortSignal): Promise<Probe[]> {
  // A program has to log in somewhere itself, perhaps.
  const patience = way.proxy === undefined ? waits.banner : waits.login;
  const one = async (): Promise<Probe> =>
    probe({ socket: await way.open(signal), patience, largePatience: waits.large, signal });
  const first = await one();
  const isOdd = (first.end === "closed" && first.first.length === 0) || first.large === "lost";
  if (!isOdd) return [first];
  await sleep(300);
  return [
    first,
    ...(await one().then(
      (second) => [second],
      () => [],
    )),
  ];
}
