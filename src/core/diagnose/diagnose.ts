/**
 * Diagnose: walks the way to a machine stage by stage, as a login would, and says at each what was seen. What is looked
 * at is in `observe/`, what is thought of it in `judge/` (pure). The first stage that fails ends those that need it.
 */
import { type AmiError, asAmiError } from "../errors.ts";
import type { Host } from "../host.ts";
import { sshHost } from "../hosts/ssh.ts";
import { type Algorithms, algorithms } from "../ssh/algorithms.ts";
import { resolveSshConfig } from "../ssh/config/resolve.ts";
import type { SshConfig } from "../ssh/config/ssh-config.ts";
import type { Connection } from "../ssh/connection.ts";
import { filesOf } from "../ssh/host-key.ts";
import { hostKeyLines, knownKeyTypes } from "../ssh/known-hosts.ts";
import { type Link, createLink } from "../ssh/link.ts";
import type { SshOptions } from "../ssh/options.ts";
import { createSshPool } from "../ssh/pool.ts";
import type { Target } from "../targets.ts";
import { type Finding, about } from "./finding.ts";
import { judgeAlgorithms } from "./judge/algorithms.ts";
import { type AuthSeen, judgeAuth } from "./judge/auth.ts";
import { judgeConfig } from "./judge/config.ts";
import { judgeBanner, judgeOffer } from "./judge/greeting.ts";
import { judgeHandshake } from "./judge/handshake.ts";
import { judgeHealth } from "./judge/health.ts";
import { judgeHostKey } from "./judge/host-key.ts";
import { judgeRefusal } from "./judge/refusal.ts";
import { judgeSession } from "./judge/session.ts";
import { judgeSpeed } from "./judge/speed.ts";
import { logIn, refusedKeys, withOthers } from "./observe/login.ts";
import { look } from "./observe/look.ts";
import { observeSession } from "./observe/session.ts";
import { observeSpeed } from "./observe/speed.ts";
import { at } from "./observe/tcp.ts";
import { openWay, probeAll } from "./observe/way.ts";
import { type Sheet, openSheet } from "./sheet.ts";
import { type Waits, waitsOf } from "./waits.ts";

export interface DiagnoseWish {
  readonly target: Target & { kind: "ssh" };
  readonly ssh: SshOptions;
  /** A login on the machine that works, to look from when this one is refused. */
  readonly inside?: ((signal: AbortSignal) => Promise<Host>) | undefined;
  readonly waits?: Partial<Waits> | undefined;
  readonly signal: AbortSignal;
}

/** Rejects only when aborted, and with `config.invalid`: what fails on the way is the answer. */
export async function diagnose(wish: DiagnoseWish): Promise<Finding[]> {
  const { target, ssh, signal } = wish;
  const { host, user, port, name } = target;
  const config = await resolveSshConfig(host, {
    configFile: ssh.configFile,
    user,
    port,
    home: ssh.home,
    env: ssh.env,
    signal,
  });
  const waits = waitsOf(config, wish.waits);
  const pool = createSshPool(ssh);
  const sheet = openSheet();
  const closing: (() => void)[] = [];
  try {
    sheet.add("config", [judgeConfig(config)]);
    const way = await openWay({ name, host, user, port, config, pool, waits, sheet, signal });
    if (way === undefined) return sheet.end();

    const probes = await probeAll(way, waits, signal);
    const proxy = way.proxy && { command: way.proxy.command, said: way.proxy.said() };
    const greeting = { at: at(config.hostName, config.port), probes, proxy };
    if (!sheet.add("banner", judgeBanner(greeting))) return sheet.end();
    if (!sheet.add("offer", judgeOffer(greeting))) return sheet.end();
    const theirs = probes.find((each) => each.greeting.offer !== undefined)?.greeting.offer;
    const ours = await oursFor(config);
    if ("error" in ours) {
      sheet.add("algorithms", [about("algorithms").fail("algorithms.config", ours.error.message)]);
      return sheet.end();
    }
    if (theirs !== undefined && !sheet.add("algorithms", judgeAlgorithms({ name, ours, theirs }))) return sheet.end();

    const login = await logIn({ name, config, ssh, way, waits, signal });
    const { rehearsal } = login;
    const error = "error" in rehearsal.outcome ? rehearsal.outcome.error : undefined;
    const refusal = error?.code.startsWith("hostkey.") === true ? error : undefined;
    const broken = judgeHandshake(rehearsal);
    if (broken !== undefined) {
      sheet.add("host key", [broken]);
      return sheet.end();
    }
    const isTrusted = sheet.add(
      "host key",
      judgeHostKey({
        name,
        record: recordOf(config),
        key: rehearsal.hostKey,
        lines: hostKeyLines({
          host: config.hostName,
          port: config.port,
          hostKeyAlias: config.hostKeyAlias,
          ...filesOf(config),
        }),
        files: [...config.userKnownHostsFiles, ...config.globalKnownHostsFiles],
        refusal,
      }),
    );
    if (!isTrusted) return sheet.end();
    const seen = await lookInside(await withOthers(login, { name, config, ssh, way, waits, signal }), wish);
    if (!sheet.add("auth", judgeAuth(seen)) || !("connection" in rehearsal.outcome)) return sheet.end();

    const { connection } = rehearsal.outcome;
    const link = linkOf(name, connection);
    closing.push(() => link.close());
    await examineMachine({ name, config, ssh, waits, sheet, signal, seen, link, connection });
    return sheet.end();
  } finally {
    for (const close of closing.toReversed()) close();
    await pool.close();
  }
}

interface MachineWish {
  readonly name: string;
  readonly config: SshConfig;
  readonly ssh: SshOptions;
  readonly waits: Waits;
  readonly sheet: Sheet;
  readonly signal: AbortSignal;
  readonly seen: AuthSeen;
  readonly link: Link;
  readonly connection: Connection;
}

/** What is to be seen once we are in. */
async function examineMachine(wish: MachineWish): Promise<void> {
  const { name, config, ssh, waits, sheet, signal, seen, link, connection } = wish;
  const { user } = config;
  const patience = waits.session;
  const session = await within(2 * patience, signal, observeSession({ user, link, connection, patience, signal }));
  sheet.add("session", judgeSession(session));
  if (session?.run.state !== "ran") return;
  const bulk = observeSpeed({ link, sample: waits.sample, stall: waits.large, signal });
  const speed = await within(2 * patience, signal, bulk);
  const isLost = speed?.state === "measured" && speed.bytes === 0;
  const refused = refusedKeys(seen);
  const keys = refused.map(({ blob }) => blob);
  const machine = sshHost(name, { link, config, env: ssh.env ?? process.env });
  // Where bulk is lost the program that looks around would not get there.
  const health = isLost ? undefined : await within(patience, signal, look(machine, user, keys, signal));
  // Let in by a password: from here it can be seen why the keys were refused.
  if (health !== undefined && refused.length > 0 && seen.method !== "publickey") {
    const view = { from: name, account: health.account };
    const offered = refused.map(({ identity }) => identity);
    sheet.add("auth", [{ ...judgeRefusal(view, { user, offered, evidence: [] }), status: "warn" }]);
  }
  sheet.add("health", judgeHealth(health));
  sheet.add("speed", judgeSpeed(speed ?? { state: "no-echo" }));
}

async function oursFor(config: SshConfig): Promise<Algorithms | { error: AmiError }> {
  const { hostName: host, port, hostKeyAlias } = config;
  try {
    return algorithms(config, await knownKeyTypes({ host, port, hostKeyAlias, ...filesOf(config) }));
  } catch (error) {
    return { error: asAmiError(error) };
  }
}

async function lookInside(seen: AuthSeen, { inside, signal }: DiagnoseWish): Promise<AuthSeen> {
  if (seen.error === undefined || inside === undefined) return seen;
  const keys = refusedKeys(seen).map(({ blob }) => blob);
  try {
    const host = await inside(signal);
    const { account } = await look(host, seen.user, keys, signal);
    return { ...seen, inside: { from: host.name, account } };
  } catch (error) {
    signal.throwIfAborted();
    return { ...seen, inside: { error: asAmiError(error).message } };
  }
}

/** Undefined: it failed, or took longer. Rejects when aborted, at once: what hangs there does not hold us up. */
async function within<T>(ms: number, signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  const stop = Promise.withResolvers<undefined>();
  const onAbort = (): void => stop.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => stop.resolve(undefined), ms);
  try {
    return await Promise.race([work.catch(() => undefined), stop.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    signal.throwIfAborted();
  }
}

/** One connection and no more: what it allows is what is examined. */
function linkOf(name: string, connection: Connection): Link {
  return createLink({ name, open: () => Promise.resolve(connection), mayGrow: () => false });
}

function recordOf({ hostName, port, hostKeyAlias }: SshConfig): string {
  return hostKeyAlias ?? (port === 22 ? hostName : `[${hostName}]:${port}`);
}
