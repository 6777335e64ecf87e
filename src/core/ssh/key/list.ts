/** List: the keys of the user on this machine: in ~/.ssh, named by the ssh config, held by the agent. */
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type HeldKey, talkToAgent } from "../agent-talk.ts";
import { sshAliases } from "../config/aliases.ts";
import { resolveSshConfig } from "../config/resolve.ts";
import { type KeyFile, readKeyFile } from "../keys.ts";
import { fingerprint } from "../known-hosts.ts";
import { bitsOf } from "./halves.ts";
import { readKeyLine } from "./lines.ts";
import { publicHalf } from "./places.ts";

export interface ListedKey {
  /** Absent: only the agent has it. */
  readonly path?: string | undefined;
  readonly type?: string | undefined;
  readonly bits?: number | undefined;
  readonly fingerprint?: string | undefined;
  readonly comment?: string | undefined;
  /** `public`: the private half is not here. `unknown`: it is encrypted and nothing tells the public half. */
  readonly kind: "open" | "encrypted" | "public" | "unusable";
  /** Why it cannot be used. */
  readonly problem?: string | undefined;
  /** When the file was last written: seconds since 1970. */
  readonly written?: number | undefined;
  readonly agent: boolean;
  /** Names of the ssh config that log in with it by name. */
  readonly usedBy: readonly string[];
}

export interface ListPlace {
  readonly home: string;
  readonly configFile?: string | undefined;
  /** Socket of the agent. */
  readonly agent?: string | undefined;
  readonly signal: AbortSignal;
}

export async function listKeys(place: ListPlace): Promise<ListedKey[]> {
  const [uses, inFolder, held] = await Promise.all([
    usesByFile(place),
    keyFilesIn(join(place.home, ".ssh")),
    ask(place),
  ]);
  const paths = [...new Set([...inFolder, ...uses.keys()])];
  const files = await Promise.all(paths.map((path) => readKeyFile(path)));
  const there = files.filter((file) => file.state !== "missing");
  const keys = await Promise.all(there.map((file) => describe(file, uses.get(file.path) ?? [], held)));
  const blobs = files.map((file) => publicHalf(file)?.blob);
  const elsewhere = held.filter((key) => !blobs.some((blob) => blob?.equals(key.blob)));
  return [...keys, ...elsewhere.map(fromAgent)];
}

async function describe(file: KeyFile, usedBy: readonly string[], held: readonly HeldKey[]): Promise<ListedKey> {
  const half = publicHalf(file);
  const kind =
    file.state === "ready"
      ? "open"
      : file.state === "locked"
        ? "encrypted"
        : file.state === "public"
          ? "public"
          : "unusable";
  const { mtimeMs } = await stat(file.path);
  const line = readKeyLine(
    (await readFile(kind === "public" ? file.path : `${file.path}.pub`, "utf8").catch(() => "")).trim(),
  );
  const isOwn = line !== undefined && (half === undefined || line.blob.equals(half.blob));
  return {
    path: file.path,
    ...(half === undefined ? {} : { type: half.type, bits: sizeOf(half), fingerprint: fingerprint(half.blob) }),
    ...(isOwn && line.comment !== "" ? { comment: line.comment } : {}),
    kind,
    ...(file.state === "unusable" ? { problem: file.why } : {}),
    written: Math.floor(mtimeMs / 1000),
    agent: half !== undefined && held.some((key) => key.blob.equals(half.blob)),
    usedBy,
  };
}

function fromAgent(key: HeldKey): ListedKey {
  const { type, blob, comment } = key;
  return { type, bits: sizeOf(key), fingerprint: fingerprint(blob), comment, kind: "open", agent: true, usedBy: [] };
}

/** undefined: of certificates and keys on tokens nobody asks. */
function sizeOf({ type, blob }: { readonly type: string; readonly blob: Buffer }): number | undefined {
  return /-cert-|^sk-/.test(type) ? undefined : bitsOf(blob);
}

/** Private keys by what they begin with, and public ones that stand alone. */
async function keyFilesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder).catch((): string[] => [])).toSorted();
  const found = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const info = await stat(path).catch(() => undefined);
      if (info?.isFile() !== true || info.size > 64 * 1024) return [];
      const start = (await readFile(path, "latin1").catch(() => "")).slice(0, 2000);
      if (/^-----BEGIN [A-Z ]*PRIVATE KEY-----|^PuTTY-User-Key-File/m.test(start)) return [path];
      const isLonely = name.endsWith(".pub") && !name.endsWith("-cert.pub") && !names.includes(name.slice(0, -4));
      return isLonely && readKeyLine(start.split("\n", 1)[0] ?? "") !== undefined ? [path] : [];
    }),
  );
  return found.flat();
}

/**
 * The names of the ssh config that log in with a file by name; the usual names are tried everywhere. A config that
 * cannot be read uses nothing here: what needs it says what is wrong with it.
 */
export async function usesByFile({
  home,
  configFile,
  signal,
}: Omit<ListPlace, "agent">): Promise<ReadonlyMap<string, readonly string[]>> {
  const uses = new Map<string, readonly string[]>();
  const aliases = sshAliases(configFile, home);
  const configs = await Promise.all(
    aliases.map((alias) => resolveSshConfig(alias, { configFile, home, signal }).catch(() => undefined)),
  );
  for (const [index, config] of configs.entries()) {
    if (config?.identityFilesExplicit !== true) continue;
    for (const file of config.identityFiles) uses.set(file, [...(uses.get(file) ?? []), aliases[index] ?? ""]);
  }
  return uses;
}

/** An agent that does not answer holds nothing. */
async function ask({ agent, signal }: ListPlace): Promise<HeldKey[]> {
  return agent === undefined || agent === ""
    ? []
    : talkToAgent(agent, signal)
        .list()
        .catch(() => []);
}
