/**
 * Diagnose: walks the way to a machine stage by stage, as a login would, and says at each what was seen. A stage looks
 * first (`observe...`) and judges then (`judge...`, pure). The first that fails ends those that need it.
 */
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type AmiError, asAmiError } from "../errors.ts";
import type { Host } from "../host.ts";
import { localHost } from "../hosts/local.ts";
import { sshHost } from "../hosts/ssh.ts";
import { type Algorithms, algorithms } from "../ssh/algorithms.ts";
import { agentKeys } from "../ssh/agent.ts";
import { resolveSshConfig } from "../ssh/config/resolve.ts";
import type { SshConfig } from "../ssh/config/ssh-config.ts";
import type { Connection } from "../ssh/connection.ts";
import { filesOf } from "../ssh/host-key.ts";
import { type Identities, type Identity, createKeyRing } from "../ssh/identities.ts";
import { type KeyFile, readKeyFile } from "../ssh/keys.ts";
import { hostKeyLines, knownKeyTypes } from "../ssh/known-hosts.ts";
import { type Link, createLink } from "../ssh/link.ts";
import type { SshOptions } from "../ssh/options.ts";
import { startPatience } from "../ssh/patience.ts";
import { type SshPool, createSshPool, keyChoice } from "../ssh/pool.ts";
import { type Probe, probe } from "../ssh/probe.ts";
import { type Rehearsal, rehearse } from "../ssh/rehearsal.ts";
import { openRoute } from "../ssh/route.ts";
import type { Target } from "../targets.ts";
import { judgeAlgorithms } from "./algorithms.ts";
import { type AgentSeen, type AuthSeen, judgeAuth } from "./auth.ts";
import { type Finding, type Stage, about, certain, firstOf, here, likely, stages } from "./finding.ts";
import { judgeBanner, judgeOffer } from "./greeting.ts";
import { judgeHealth } from "./health.ts";
import { judgeHostKey } from "./host-key.ts";
import { look } from "./look.ts";
import { type InsideView, judgeRefusal } from "./refusal.ts";
import { judgeResolve, observeResolve } from "./resolve.ts";
import { judgeSession, observeSession } from "./session.ts";
import { judgeSpeed, observeSpeed } from "./speed.ts";
import { at, judgeTcp, observeTcp } from "./tcp.ts";

export interface DiagnoseWish {
  readonly target: Target & { kind: "ssh" };
  readonly ssh: SshOptions;
  /** A login on the machine that works, to look from when this one is refused. */
  readonly inside?: ((signal: AbortSignal) => Promise<Host>) | undefined;
  readonly waits?: Partial<Waits> | undefined;
  readonly signal: AbortSignal;
}

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
function waitsOf({ connectTimeout }: SshConfig, given: Partial<Waits> = {}): Waits {
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
    sheet.add("config", [describeConfig(config)]);
    const way = await openWay({ name, host, user, port, config, pool, waits, sheet, signal });
    if (way === undefined) return sheet.end();

    const probes = await probeAll(way, waits, signal);
    const greeting = { at: at(config.hostName, config.port), probes };
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
    const early = brokenEarly(rehearsal, error);
    if (early !== undefined) {
      sheet.add("host key", [early]);
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
    const session = await within(
      2 * waits.session,
      signal,
      observeSession({ user: config.user, link, connection, patience: waits.session, signal }),
    );
    if (session === undefined) sheet.add("session", [stalled()]);
    else sheet.add("session", judgeSession(session));
    if (session?.run.state !== "ran") return sheet.end();
    const machine = sshHost(name, { link, config, env: ssh.env ?? process.env });
    closing.push(() => void machine.close());
    const bulk = observeSpeed({ link, sample: waits.sample, stall: waits.large, signal });
    const speed = await within(2 * waits.session, signal, bulk);
    const isLost = speed?.state === "measured" && speed.bytes === 0;
    // Its program would not get there.
    const refused = refusedKeys(seen);
    const keys = refused.map(({ blob }) => blob);
    const health = isLost ? undefined : await within(waits.session, signal, look(machine, config.user, keys, signal));
    // Let in by a password: from here it can be seen why the keys were refused.
    if (health !== undefined && refused.length > 0 && seen.method !== "publickey") {
      const view = { from: name, account: health.account };
      const offered = refused.map(({ identity }) => identity);
      sheet.add("auth", [{ ...judgeRefusal(view, { user: config.user, offered, evidence: [] }), status: "warn" }]);
    }
    sheet.add("health", judgeHealth(health));
    sheet.add("speed", judgeSpeed(speed ?? { state: "no-echo" }));
    return sheet.end();
  } finally {
    for (const close of closing.toReversed()) close();
    await pool.close();
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

function stalled(): Finding {
  return about("session").fail("session.stalled", "the server lets us in, and then nothing moves any more", {
    cause: likely("packets are lost once more than a few travel, or the server is out of memory or processes"),
    fix: { where: "there", command: "uptime; free -m" },
  });
}

/** The findings so far. */
interface Sheet {
  /** False when something failed: what comes after needs it. */
  add(stage: Stage, findings: readonly Finding[]): boolean;
  /** Everything, with a line for each stage that was not come to. */
  end(): Finding[];
}

function openSheet(): Sheet {
  const findings: Finding[] = [];
  const done = new Set<Stage>();
  return {
    add(stage, more) {
      done.add(stage);
      findings.push(...more);
      return more.every(({ status }) => status !== "fail");
    },
    end() {
      const cause = firstOf(findings);
      const missed = stages.filter((stage) => !done.has(stage));
      return [
        ...findings,
        ...missed.map((stage) => about(stage).skipped(stage, `not examined, because ${cause?.says ?? "of the above"}`)),
      ];
    },
  };
}

function describeConfig({ user, hostName, port, source, unsupported }: SshConfig): Finding {
  return about("config").ok("config", `${user} at ${at(hostName, port)}`, {
    evidence: [
      `read by ${source === "own" ? "our own parser" : source}`,
      ...unsupported.map(({ option, value, file, line }) => `${file}:${line} ${option} ${value}: not supported here`),
    ],
  });
}

/** How to get a socket to the server, any number of times. */
interface Way {
  open(signal: AbortSignal): Promise<Duplex>;
  readonly jump: Link | undefined;
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
async function openWay(wish: WayWish): Promise<Way | undefined> {
  const { config, sheet, waits, signal, pool, name } = wish;
  const isProxied = config.proxyCommand !== undefined && config.proxyCommand !== "none";
  const isJumped = config.proxyJump !== undefined && config.proxyJump !== "none";
  if (isProxied || isJumped) {
    const through = isJumped ? `jump host ${config.proxyJump}` : `ProxyCommand ${config.proxyCommand}`;
    sheet.add("resolve", [about("resolve").skipped("resolve", `the ${through} looks the name up`)]);
    try {
      const jump = isJumped ? await pool.jump(wish, signal) : undefined;
      const way: Way = { jump, open: (own) => routeTo(name, config, jump, waits.tcp, own) };
      const first = await way.open(signal);
      sheet.add("tcp", [about("tcp").ok("tcp", `the ${through} leads to ${at(config.hostName, config.port)}`)]);
      return { ...way, open: firstThen(first, way.open) };
    } catch (error) {
      signal.throwIfAborted();
      const { message, hint } = asAmiError(error);
      const hop = config.proxyJump?.split(",").at(-1);
      sheet.add("tcp", [
        about("tcp").fail("tcp.proxy", `the ${through} does not lead to the server`, {
          evidence: [message, ...(hint === undefined ? [] : [hint])],
          cause: message.startsWith("jump host")
            ? certain("the jump host itself is the trouble")
            : likely("the hop works and cannot reach the server"),
          fix: here(isJumped ? `ami-node ssh diagnose ${hop}` : `sh -c ${JSON.stringify(config.proxyCommand)}`),
        }),
      ]);
      return undefined;
    }
  }
  const resolved = await observeResolve(config, waits.resolve);
  signal.throwIfAborted();
  if (!sheet.add("resolve", judgeResolve(resolved))) return undefined;
  const { addresses } = resolved;
  const { port, bindAddress } = config;
  const tcp = await observeTcp({ port, addresses, bindAddress, patience: waits.tcp, local: localHost(), signal });
  signal.throwIfAborted();
  const isOpen = sheet.add("tcp", judgeTcp(tcp, config.hostName));
  if (!isOpen || tcp.socket === undefined) return undefined;
  return { jump: undefined, open: firstThen(tcp.socket, (own) => routeTo(name, config, undefined, waits.tcp, own)) };
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
): Promise<Duplex> {
  const patience = startPatience({ name, at: at(config.hostName, config.port), ms, signal });
  try {
    return (await openRoute(name, config, jump, patience)).socket;
  } finally {
    patience.end();
  }
}

/** Once; again after a moment when it was turned away without a reason, or lost its large packet. */
async function probeAll(way: Way, waits: Waits, signal: AbortSignal): Promise<Probe[]> {
  const one = async (): Promise<Probe> =>
    probe({ socket: await way.open(signal), patience: waits.banner, largePatience: waits.large, signal });
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

async function oursFor(config: SshConfig): Promise<Algorithms | { error: AmiError }> {
  const { hostName: host, port, hostKeyAlias } = config;
  try {
    return algorithms(config, await knownKeyTypes({ host, port, hostKeyAlias, ...filesOf(config) }));
  } catch (error) {
    return { error: asAmiError(error) };
  }
}

interface LoginWish {
  readonly name: string;
  readonly config: SshConfig;
  readonly ssh: SshOptions;
  readonly way: Way;
  readonly waits: Waits;
  readonly signal: AbortSignal;
}

interface Login {
  readonly rehearsal: Rehearsal;
  readonly identities: Identities;
  readonly agent: AgentSeen;
  readonly files: readonly KeyFile[];
}

async function logIn({ name, config, ssh, way, waits, signal }: LoginWish): Promise<Login> {
  const choice = keyChoice(config, ssh);
  const paths = [...new Set([...choice.explicitFiles, ...choice.identityFiles])];
  const [identities, agent, files] = await Promise.all([
    createKeyRing(ssh.ask).identities(choice),
    seeAgent(choice.agent),
    Promise.all(paths.map((path) => readKeyFile(path))),
  ]);
  const named = (file: KeyFile): boolean => file.state !== "missing" || choice.identityFilesExplicit;
  const once = (): Promise<Rehearsal> =>
    rehearse({
      name,
      config,
      jump: way.jump,
      identities,
      agent: choice.agent,
      options: ssh,
      patience: waits.login,
      signal,
    });
  let rehearsal = await once();
  // The probe is counted for a moment yet; where MaxStartups is small that is one too many.
  if (rehearsal.phase === "the banner" && "error" in rehearsal.outcome && rehearsal.outcome.error.retry === "yes") {
    await sleep(500);
    rehearsal = await once();
  }
  return { rehearsal, identities, agent, files: files.filter(named) };
}

async function seeAgent(path: string | undefined): Promise<AgentSeen> {
  if (path === undefined) return { state: "none" };
  try {
    return { state: "answers", path, keys: (await agentKeys(path)).length };
  } catch (error) {
    return { state: "dead", path, why: error instanceof Error ? error.message : String(error) };
  }
}

/** A login that ended before a key was judged, although the probe came through. */
function brokenEarly(rehearsal: Rehearsal, error: AmiError | undefined): Finding | undefined {
  const isEarly = rehearsal.phase !== "authentication" && error !== undefined && !error.code.startsWith("hostkey.");
  if (!isEarly) return undefined;
  return about("host key").fail("host-key.handshake", `${rehearsal.phase} breaks off: ${error.message}`, {
    evidence: [`it came as far as ${rehearsal.phase}, in ${rehearsal.ms.toFixed(0)} ms; the probe before came through`],
    cause: likely("packets are lost once more than a few travel, or the server is out of memory or processes"),
    fix: { where: "there", command: "sudo journalctl -u ssh -n 20" },
  });
}

/** After the server hung up for too many keys: each of the others in a login of its own, so that the right one is found. */
async function withOthers(login: Login, wish: LoginWish): Promise<AuthSeen> {
  const { rehearsal, identities, agent, files } = login;
  const { name, config, ssh, way, waits, signal } = wish;
  const error = "error" in rehearsal.outcome ? rehearsal.outcome.error : undefined;
  const seen: AuthSeen = {
    name,
    user: config.user,
    host: config.hostName,
    error,
    method: rehearsal.steps.findLast(({ is }) => is === "sent")?.method ?? "none",
    steps: rehearsal.steps,
    banners: rehearsal.banners,
    files,
    agent,
    others: [],
    works: undefined,
    kexMs: rehearsal.kexMs,
    ms: rehearsal.ms,
    inside: undefined,
  };
  const isTooMany = error !== undefined && /too many authentication failures/i.test(error.message);
  if (!isTooMany) return seen;
  const refused = new Set(rehearsal.steps.flatMap(({ is, identity }) => (is === "refused" ? [identity] : [])));
  const left = identities.list.filter((identity) => !refused.has(identity)).slice(0, mostOthers);
  const others: Rehearsal["steps"][number][] = [];
  for (const identity of left) {
    const again = await rehearse({
      name,
      config,
      jump: way.jump,
      identities: { list: [identity], problems: [] },
      agent: keyChoice(config, ssh).agent,
      options: { ...ssh, ask: undefined },
      patience: waits.login,
      signal,
    });
    others.push(...again.steps);
    if ("error" in again.outcome) continue;
    again.outcome.connection.close();
    return { ...seen, others, works: identity };
  }
  return { ...seen, others };
}

/** Logins in vain look like an attack. */
const mostOthers = 10;

async function lookInside(seen: AuthSeen, { inside, signal }: DiagnoseWish): Promise<AuthSeen> {
  if (seen.error === undefined || inside === undefined) return seen;
  const keys = refusedKeys(seen).map(({ blob }) => blob);
  const host = await inside(signal);
  const view: InsideView = { from: host.name, account: (await look(host, seen.user, keys, signal)).account };
  return { ...seen, inside: view };
}

function refusedKeys({ steps }: AuthSeen): { identity: Identity; blob: string }[] {
  return steps.flatMap(({ is, identity }) =>
    is === "refused" && identity?.public !== undefined
      ? [{ identity, blob: identity.public.blob.toString("base64") }]
      : [],
  );
}

/** One connection and no more: what it allows is what is examined. */
function linkOf(name: string, connection: Connection): Link {
  return createLink({ name, open: () => Promise.resolve(connection), mayGrow: () => false });
}

function recordOf({ hostName, port, hostKeyAlias }: SshConfig): string {
  return hostKeyAlias ?? (port === 22 ? hostName : `[${hostName}]:${port}`);
}
