/** App: the composition root. Builds what one run of a command needs, runs it, and says what became of it. */
import { randomBytes } from "node:crypto";
import { lstatSync } from "node:fs";
import type { z } from "zod";
import type { Become, Command, Context, GlobalOptions, Settings, VaultWish } from "./core/command.ts";
import { openLog } from "./core/config/log.ts";
import type { LogLevel } from "./core/config/log.ts";
import { ownPaths } from "./core/config/paths.ts";
import type { Paths } from "./core/config/paths.ts";
import { openSettings } from "./core/config/settings.ts";
import type { Deed } from "./core/deed.ts";
import { AmiError, asAmiError, errorJson, exitCodeOf, exitCodes } from "./core/errors.ts";
import type { ErrorJson } from "./core/errors.ts";
import { createEvents } from "./core/events.ts";
import type { Events } from "./core/events.ts";
import type { OpenHosts } from "./core/hosts/open.ts";
import { createMasking } from "./core/masking.ts";
import type { Masking } from "./core/masking.ts";
import type { Inventory } from "./core/nodes/inventory.ts";
import { localUser } from "./core/runtime-compat.ts";
import { Secret } from "./core/secret.ts";
import type { Policy } from "./core/security/policy/policy.ts";
import type { Watching } from "./core/security/watch.ts";
import type { SecretSource } from "./core/source.ts";
import type { Ask, Transport } from "./core/ssh/options.ts";
import type { SharedLinks } from "./core/ssh/shared-links.ts";
import type { Target } from "./core/targets.ts";
import type { Vault } from "./core/vault.ts";
import type { ColorWish } from "./ui/paint.ts";
import { openPrompter } from "./ui/prompt.ts";
import type { Prompter } from "./ui/prompt.ts";
import { openScreen } from "./ui/screen.ts";
import { openTerminal } from "./ui/terminal.ts";

export interface Run {
  readonly command: Command;
  /** Validated by the command's own schema. */
  readonly input: z.output<z.ZodObject>;
  readonly globals: Globals;
  readonly signal: AbortSignal;
  /** Aborts the signal, as Ctrl-C does. */
  interrupt(): void;
  /** `| head` has seen enough: what is said now nobody wants to hear. */
  hasReaderLeft(): boolean;
  readonly stdio: NonNullable<Context["stdio"]>;
  readonly env: NodeJS.ProcessEnv;
  readonly answering?: Context["answering"];
  /** The run is another process's, which this one does it for. */
  readonly guest?: Guest | undefined;
}

/** What a run on behalf of another process goes by in place of what this process has. */
export interface Guest {
  readonly cwd: string;
  readonly home: string;
  readonly prompter: Prompter;
  readonly links: SharedLinks;
  /** Throws when these are no targets for a guest, before anything was printed or contacted. */
  admit(targets: readonly Target[]): void;
}

/** Thrown by `admit`, and by `run` then. */
export class NotAdmitted extends Error {}

/** Global flags read and checked. What is absent here may be set in the settings. */
export interface Globals {
  readonly targets: readonly string[];
  readonly targetsFile?: string | undefined;
  readonly sshConfig?: string | undefined;
  readonly identities: readonly string[];
  readonly transport?: Transport | undefined;
  /** From a person, or from where it lies. */
  readonly askPass?: "ask" | SecretSource | undefined;
  readonly askBecomePass?: "ask" | SecretSource | undefined;
  readonly become?: string | undefined;
  readonly becomeMethod?: "sudo" | "su" | "doas" | undefined;
  readonly acceptNew: boolean;
  readonly parallel?: number | undefined;
  /** Milliseconds. */
  readonly timeout?: number | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: boolean;
  readonly yes: boolean;
}

/**
 * Runs one command to its end and resolves with the exit code. Every error is printed here; it rejects for a guest that
 * is not admitted, and never else.
 */
export async function run(wish: Run): Promise<number> {
  const { globals, signal, stdio, env } = wish;
  const command: Command =
    wish.command.live?.(wish.input) === true ? { ...wish.command, shows: "events" } : wish.command;
  const masking = createMasking();
  const paths = ownPaths(env);
  const settings = openSettings(paths.settings);
  const bus = createEvents(randomBytes(6).toString("hex"));
  const events = masking.events(bus);
  const look = looksOf(settings);
  const screen = await openScreen(stdio, {
    command,
    options: globals,
    color: { flag: globals.color, setting: look.color },
    env,
    mask: masking.text,
  });
  const log = openLog(paths.log, look.log);
  bus.subscribe(log.listener);
  bus.subscribe(screen.listener);
  const started = Date.now();
  let hosts: OpenHosts | undefined;
  let watch: Watching | undefined;
  let names: readonly string[] = [];
  let end: { readonly exit: number; readonly output?: unknown; readonly error?: unknown };
  try {
    const prompter =
      wish.guest?.prompter ??
      openPrompter({
        stdin: stdio.stdin,
        stderr: stdio.stderr,
        paint: screen.paint,
        signal,
        interrupt: wish.interrupt,
        suspend: screen.suspend,
      });
    const { guest } = wish;
    const parts = { globals, settings, events, masking, prompter, env, paths, stdin: stdio.stdin, signal, guest };
    const options = await optionsOf(parts, command);
    const targets = await targetsOf(parts, command);
    guest?.admit(targets);
    screen.expect(targets.length);
    names = targets.map(({ name }) => name);
    watch = await watchOf(parts, wish, { run: bus.run, targets: names });
    if (watch !== undefined) bus.subscribe(watch.listener);
    hosts = command.targets === "none" ? noHosts : await hostsOf(parts, options, watch);
    await announce({ command, input: wish.input, targets, options, hosts });
    await watch?.begin(names);
    const result = await command.run(wish.input, {
      targets,
      resolve: (word) => resolve([word], parts),
      hosts,
      events,
      settings,
      options,
      signal,
      confirm: (question) => confirm(question, options, prompter),
      async secret(question) {
        const answer = await prompter.secret(question);
        masking.add(answer);
        return answer;
      },
      vault: (files) => vaultOf(parts, files),
      caughtUp: screen.caughtUp,
      ...placeOf(wish),
    });
    end = { exit: result.exit ?? exitCodes.ok, output: result.output };
  } catch (error) {
    if (error instanceof NotAdmitted) throw error;
    end = { exit: exitCodeOf(error), error };
  } finally {
    await hosts?.close();
  }
  // Interrupted work reports failures of its own; the reason is the interruption.
  const exitOf = ({ exit }: typeof end): number =>
    signal.aborted && exit !== exitCodes.ok ? exitCodes.interrupted : exit;
  try {
    const error = "error" in end ? end.error : undefined;
    await watch?.end({ exit: exitOf(end), error, ms: Date.now() - started });
  } catch (error) {
    // What was done is done; it is told all the same that it could not be written down.
    if (!("error" in end)) end = { exit: exitCodeOf(error), error };
  }
  if (look.problem !== undefined && isWorthSaying(look.problem, command, "error" in end ? end.error : undefined))
    events.emit({ kind: "note", level: "warn", text: look.problem });
  const exit = exitOf(end);
  if (command.shows === "events") {
    events.emit({
      kind: "result",
      exit,
      ...("error" in end ? { error: errorJson(end.error) } : { output: end.output }),
    });
  }
  await screen.close();
  if (!("error" in end)) {
    if (command.shows === "answer") screen.answer(end.output);
  } else if (!wish.hasReaderLeft()) screen.fail(end.error, exit);
  const error = "error" in end ? { error: maskedJson(end.error, masking) } : {};
  log.ended({ run: bus.run, command: command.name, targets: names, exit, ms: Date.now() - started, ...error });
  return exit;
}

function maskedJson(error: unknown, masking: Masking): ErrorJson {
  const json = errorJson(error);
  return { ...json, message: masking.text(json.message) };
}

/** What the pieces below are made from. */
interface Parts {
  readonly globals: Globals;
  readonly settings: Settings;
  readonly events: Events;
  readonly masking: Masking;
  readonly prompter: Prompter;
  readonly env: NodeJS.ProcessEnv;
  readonly paths: Paths;
  readonly stdin: NodeJS.ReadStream;
  readonly signal: AbortSignal;
  readonly guest: Guest | undefined;
}

/** Settings that must not stop a command when they are wrong: `ami-node config` is how they are mended. */
function looksOf(settings: Settings): { color: ColorWish; log: LogLevel; problem?: string } {
  try {
    const color = settings.get("color");
    const log = settings.get("log.level");
    return {
      color: color === "always" || color === "never" ? color : "auto",
      log: log === "off" || log === "errors" ? log : "actions",
    };
  } catch (error) {
    return { color: "auto", log: "errors", problem: asAmiError(error).message };
  }
}

/** Not what the error of the command says already, nor at each start of a shell that reads `completion bash`. */
function isWorthSaying(problem: string, { effect, targets }: Command, error: unknown): boolean {
  if (error !== undefined && asAmiError(error).message === problem) return false;
  return effect !== "read" || targets !== "none";
}

async function optionsOf(parts: Parts, command: Command): Promise<GlobalOptions> {
  const { globals, settings } = parts;
  const options = { json: globals.json, quiet: globals.quiet, verbose: globals.verbose, yes: globals.yes };
  const isAboutSsh = command.targets !== "none" || command.readsSshConfig === true;
  // The settings may be wrong, and `ami-node config` is how they are mended.
  const sshConfig = isAboutSsh ? (globals.sshConfig ?? textOf(settings, "ssh.config")) : undefined;
  if (command.targets === "none") return { ...options, sshConfig, parallel: defaultParallel };
  const parallel = globals.parallel ?? settings.get("parallel");
  const becomeBy = await becomeByOf(parts);
  const identity = textOf(settings, "ssh.identity");
  return {
    ...options,
    sshConfig,
    identities: globals.identities.length > 0 || identity === undefined ? globals.identities : [identity],
    parallel: typeof parallel === "number" ? parallel : defaultParallel,
    timeout: globals.timeout,
    becomeBy,
    become: globals.become === undefined ? undefined : { user: globals.become, ...becomeBy },
  };
}

const defaultParallel = 50;

async function vaultOf(parts: Parts, files: VaultWish = {}): Promise<Vault> {
  const { settings, paths, env, prompter, masking, signal } = parts;
  const [{ openVault }, { passphrasesOf }] = await Promise.all([
    import("./core/security/vault/open.ts"),
    import("./core/security/vault/passphrases.ts"),
  ]);
  const store = settings.get("vault.store");
  const passphrases = passphrasesOf({
    file: files.passphraseFile,
    newFile: files.newPassphraseFile,
    env,
    async ask(question) {
      const answer = await prompter.secret(question);
      masking.add(answer);
      return answer;
    },
  });
  return openVault({
    file: paths.vault,
    store: store === "file" || store === "keyring" ? store : "auto",
    passphrases,
    signal,
  });
}

async function becomeByOf(parts: Parts): Promise<Omit<Become, "user">> {
  const { globals, settings } = parts;
  const setting = settings.get("become.method");
  const method = globals.becomeMethod ?? (setting === "su" || setting === "doas" ? setting : "sudo");
  const password = await passwordOf(parts, globals.askBecomePass, `password for ${method}:`);
  return password === undefined ? { method } : { method, password };
}

async function confirm(question: string, options: GlobalOptions, prompter: Prompter): Promise<void> {
  if (options.yes || (await prompter.confirm(question))) return;
  throw new AmiError("run.refused", `refused: ${question}`);
}

function placeOf({ stdio, env, answering }: Run): Pick<Context, "terminal" | "stdio" | "answering"> {
  const terminal = openTerminal(stdio.stdin, stdio.stdout, env);
  return {
    stdio,
    ...(terminal === undefined ? {} : { terminal }),
    ...(answering === undefined ? {} : { answering }),
  };
}

async function targetsOf(parts: Parts, command: Command): Promise<readonly Target[]> {
  const { globals, settings } = parts;
  if (command.targets === "none" || command.targets === "words") return [];
  const words =
    globals.targets.length > 0 || globals.targetsFile !== undefined
      ? globals.targets
      : presetTargets(command, settings);
  return resolve(words, parts, globals.targetsFile);
}

async function resolve(
  words: readonly string[],
  { settings, paths, stdin }: Parts,
  targetsFile?: string,
): Promise<readonly Target[]> {
  const { resolveTargets } = await import("./core/nodes/resolve.ts");
  return resolveTargets(words, { inventory: await inventoryOf(settings, paths), targetsFile, stdin });
}

function presetTargets(command: Command, settings: Settings): readonly string[] {
  if (command.targets === "local") return ["local"];
  const preset = settings.get("default.target");
  if (typeof preset === "string") return [preset];
  throw new AmiError("usage.target", "no target was given", {
    hint: "name one with --target, or once and for all: ami-node config set default.target web1",
  });
}

async function inventoryOf(settings: Settings, paths: Paths): Promise<Inventory> {
  const { readInventory } = await import("./core/nodes/inventory.ts");
  const named = settings.get("inventory");
  return typeof named === "string" ? readInventory(named) : readInventory(paths.nodes, { optional: true });
}

const noHosts: OpenHosts = {
  open: (target) => Promise.reject(new Error(`a command that takes no targets opened ${target.name}`)),
  close: () => Promise.resolve(),
};

/** undefined: nothing is to be judged and nothing to be written down. Rejects with `policy.invalid`. */
async function watchOf(
  parts: Parts,
  { command, input }: Run,
  { run, targets }: { readonly run: string; readonly targets: readonly string[] },
): Promise<Watching | undefined> {
  if (command.targets === "none") return undefined;
  const { paths, settings, masking, events, env } = parts;
  const acts = command.effect !== "read";
  const policies = paths.policies.some(mayExist) ? await policiesOf(paths) : [];
  const isAudited = policies.some(({ auditRequired }) => auditRequired) || settings.get("audit.enabled") !== false;
  if (policies.length === 0 && !(acts && isAudited)) return undefined;
  const [{ openWatch }, { openAuditLog }, { auditFiles }] = await Promise.all([
    import("./core/security/watch.ts"),
    import("./core/security/audit/log.ts"),
    import("./core/security/audit/files.ts"),
  ]);
  const by = localUser(env).name;
  return openWatch({
    command,
    input,
    targets,
    by,
    policies,
    log: isAudited ? openAuditLog(auditFiles(paths.audit), { run, user: by, verb: command.name }) : undefined,
    recordings: paths.recordings,
    mask: masking.text,
    note: (level, text, host) => events.emit({ kind: "note", level, text, ...(host === undefined ? {} : { host }) }),
  });
}

/** One that is hidden from us may hold a ban, and reading it says so. */
function mayExist(file: string): boolean {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

async function policiesOf(paths: Paths): Promise<readonly Policy[]> {
  const [{ readPolicies }, { commands }] = await Promise.all([
    import("./core/security/policy/read.ts"),
    import("./commands/registry.ts"),
  ]);
  return readPolicies(
    paths.policies,
    commands.map(({ name }) => name),
  );
}

interface Announcement {
  readonly command: Command;
  readonly input: Run["input"];
  readonly targets: readonly Target[];
  readonly options: GlobalOptions;
  readonly hosts: OpenHosts;
}

/** What is forbidden on one of its targets is begun on none. Rejects with `policy.denied`. */
async function announce({ command, input, targets, options, hosts }: Announcement): Promise<void> {
  const { permit } = hosts;
  if (permit === undefined) return;
  const { become } = options;
  const deeds: readonly Deed[] = [
    ...(become === undefined ? [] : [{ does: "become", user: become.user } as const]),
    { does: "open" },
    ...(command.announces?.(input) ?? []),
  ];
  const judged = await Promise.allSettled(targets.map((target) => permit(target, deeds, become?.user)));
  const refused = judged.flatMap((one) => (one.status === "rejected" ? [asAmiError(one.reason)] : []));
  const [first] = refused.filter(({ code }) => code === "policy.denied");
  if (first === undefined) return;
  if (targets.length === 1) throw first;
  const lines = refused.map(({ host = "", message }) => `${host}: ${message}`);
  throw new AmiError("policy.denied", lines.join("\n"), {
    hint: `nothing was done on the others either; ${first.hint ?? "leave those hosts out"}`,
  });
}

async function hostsOf(parts: Parts, options: GlobalOptions, watch: Watching | undefined): Promise<OpenHosts> {
  const { openHosts } = await import("./core/hosts/open.ts");
  const { globals, settings, events, env, guest } = parts;
  const { askStarter } = await import("./core/tunnel/questions.ts");
  const starter = askStarter(env);
  const own = starter ?? { ask: await answersOf(parts), passphrase: (file: string) => keptFor(parts, file) };
  return openHosts({
    become: options.become,
    shared: guest?.links,
    watch,
    ssh: {
      cwd: guest?.cwd,
      home: guest?.home,
      configFile: options.sshConfig,
      identities: options.identities,
      transport: globals.transport ?? transportOf(settings),
      acceptNew: globals.acceptNew || settings.get("ssh.acceptNew") === true,
      ...own,
      note: (note) => events.emit({ kind: "note", ...note }),
      handshakes: options.parallel,
      env,
    },
  });
}

/** A vault that does not open is no reason to stop: there may be other keys, and a person to ask. */
async function keptFor(parts: Parts, file: string): Promise<Secret | undefined> {
  const { events, masking, signal, guest } = parts;
  try {
    const { keptPassphrase } = await import("./core/kept-passphrase.ts");
    const kept = await keptPassphrase(await vaultOf(parts), file, guest?.home);
    if (kept !== undefined) masking.add(kept);
    return kept;
  } catch (error) {
    if (signal.aborted) throw error;
    const text = `the vault does not give the passphrase of ${file}: ${asAmiError(error).message}`;
    events.emit({ kind: "note", level: "warn", text });
    return undefined;
  }
}

function transportOf(settings: Settings): Transport | undefined {
  const setting = settings.get("ssh.transport");
  return setting === "ssh2" || setting === "system" ? setting : undefined;
}

function textOf(settings: Settings, key: string): string | undefined {
  const value = settings.get(key);
  return typeof value === "string" ? value : undefined;
}

/** Said on the command line to be asked for, or to be taken from somewhere. */
async function passwordOf(parts: Parts, from: Globals["askPass"], question: string): Promise<Secret | undefined> {
  if (from === undefined) return undefined;
  const { prompter, masking, env } = parts;
  const password =
    from === "ask"
      ? await prompter.secret(question)
      : await (await import("./core/source.ts")).readSource(from, { env, vault: () => vaultOf(parts) });
  masking.add(password);
  return password;
}

/** Who answers the questions of ssh: what was asked beforehand (--ask-pass), then the person at the terminal. */
async function answersOf(parts: Parts): Promise<Ask | undefined> {
  const { globals, prompter, masking, stdin } = parts;
  const password = await passwordOf(parts, globals.askPass, "ssh password:");
  if (stdin.isTTY !== true)
    return password === undefined
      ? undefined
      : async ({ kind, attempt }) => (kind === "password" && attempt === 1 ? password : undefined);
  return async (question) => {
    if (question.kind === "password" && question.attempt === 1 && password !== undefined) return password;
    const answer = question.echo
      ? new Secret(await prompter.line(question.text))
      : await prompter.secret(question.text);
    if (!question.echo) masking.add(answer);
    return answer;
  };
}
