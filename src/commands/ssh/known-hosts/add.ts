/** ssh known-hosts add: writes down keys of hosts: those that they show, or lines from elsewhere. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { AmiError } from "../../../core/errors.ts";
import { sshOptionsOf } from "../../../core/hosts/open.ts";
import { hostNames, knownHostsFiles } from "../../../core/ssh/host-names.ts";
import { homeFolder, keyPath } from "../../../core/ssh/key/places.ts";
import { readText } from "../../../core/ssh/known-hosts-edit.ts";
import {
  addHostKey,
  appendKnownHosts,
  checkHostKey,
  fingerprint,
  keyType,
  parseKnownHosts,
  readEntry,
} from "../../../core/ssh/known-hosts.ts";
import { type SshPool, createSshPool } from "../../../core/ssh/pool.ts";
import { scanHostKeys } from "../../../core/ssh/scan.ts";
import { parseTarget } from "../../../core/targets.ts";

const input = z.strictObject({
  host: z.array(z.string().min(1)).default([]).describe("host, host:port, address or alias to ask for its keys"),
  line: z.array(z.string().min(1)).default([]).describe("a line of known_hosts to add: 'NAMES TYPE KEY'"),
  from: z.string().min(1).optional().describe("a file of such lines, or stdin (-)"),
  file: z.string().min(1).optional().describe("write to this file, and not to yours"),
});

const output = z.object({
  keys: z.array(
    z.object({
      host: z.string(),
      type: z.string(),
      fingerprint: z.string(),
      state: z.enum(["added", "known"]),
      file: z.string().describe("absent for a host whose config wants none kept").optional(),
    }),
  ),
});

type Output = z.output<typeof output>;

export const command = defineCommand({
  name: "ssh known-hosts add",
  summary: "Write down the keys of hosts",
  description: `Asks the host for each of its keys, shows their fingerprints and writes them down when you say that they are right: compare them with what the machine itself says (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there). Lines that you have from elsewhere need no such look, as they were not brought by the network.

A host behind jump hosts is asked through them: they are logged in to, so their keys have to be known first.

A key that differs from a known one is never added: remove the old one first, if you know why.`,
  examples: [
    { line: "ami-node ssh known-hosts add web1 192.0.2.7:2222", says: "asks both" },
    { line: "ami-node ssh known-hosts add --from known-hosts-of-the-fleet", says: "from a file" },
    { line: "ami-node ssh known-hosts add web1 --yes", says: "trusts whoever answers: on a network that you trust" },
  ],
  input,
  args: { positional: ["host"], values: { host: "HOST", line: "LINE", from: "FILE", file: "FILE" } },
  output,
  effect: "change",
  programs: "own",
  shows: "answer",
  targets: "words",
  exits: { 4: "a host does not answer", 5: "a host shows another key than the known one" },
  run: add,
  text: ({ keys }) => keys.map((key) => `${key.host}: ${key.type} ${key.fingerprint} ${key.state}`).join("\n"),
});

async function add(wish: z.output<typeof input>, ctx: Context): Promise<{ output: Output }> {
  const lines = [...wish.line, ...(wish.from === undefined ? [] : (await readLines(wish.from, ctx)).split("\n"))];
  if (wish.host.length === 0 && lines.length === 0) {
    throw new AmiError("usage.input", "there is nothing to add", { hint: "name a host, or give --line or --from" });
  }
  const keys: Output["keys"] = [];
  if (lines.length > 0) keys.push(...(await addLines(lines, wish.file, ctx)));
  const pool = createSshPool({ ...sshOptionsOf(ctx.hosts), configFile: ctx.options.sshConfig });
  try {
    for (const host of wish.host) keys.push(...(await addHost(host, wish.file, pool, ctx)));
  } finally {
    await pool.close();
  }
  return { output: { keys } };
}

async function addHost(host: string, named: string | undefined, pool: SshPool, ctx: Context): Promise<Output["keys"]> {
  const place = { configFile: ctx.options.sshConfig, home: homeFolder(), signal: ctx.signal };
  const { config } = await hostNames(host, place);
  const file = named === undefined ? config.userKnownHostsFiles[0] : keyPath(named);
  const who = { host: config.hostName, port: config.port, hostKeyAlias: config.hostKeyAlias };
  const files = {
    userFiles: named === undefined ? config.userKnownHostsFiles : [keyPath(named)],
    globalFiles: config.globalKnownHostsFiles,
  };
  const { signal } = ctx;
  const jump = await pool.jump({ name: host, ...placeOf(host) }, signal);
  const found = await Promise.all(
    (await scanHostKeys({ name: host, config, jump, signal })).map(async (key) => {
      const verdict = await checkHostKey({ ...who, ...files, key });
      // Another type than the known ones is no contradiction here: every key that it has was asked for.
      const differs = verdict.state === "changed" && verdict.keyTypes.includes(keyType(key));
      if (differs || verdict.state === "revoked") throw refused(host, key, verdict);
      return { key, isKnown: verdict.state === "known" };
    }),
  );
  const fresh = found.filter(({ isKnown }) => !isKnown);
  if (fresh.length > 0 && file !== undefined) {
    const prints = fresh.map(({ key }) => `  ${keyType(key)} ${fingerprint(key)}`);
    await ctx.confirm(`${host} (${config.hostName}:${config.port}) shows\n${prints.join("\n")}\nAre these its keys?`);
    for (const { key } of fresh) await addHostKey({ file, ...who, key, hash: config.hashKnownHosts });
  }
  return found.map(({ key, isKnown }) => ({
    host,
    type: keyType(key),
    fingerprint: fingerprint(key),
    state: isKnown ? "known" : "added",
    ...(file === undefined ? {} : { file }),
  }));
}

function placeOf(word: string): { host: string; port?: number | undefined } {
  const target = parseTarget(word);
  return target.kind === "local" ? { host: word } : { host: target.host, port: target.port };
}

function refused(
  host: string,
  key: Buffer,
  verdict: { readonly state: string; readonly file?: string | undefined; readonly line?: number | undefined },
): AmiError {
  const where = `${verdict.file}:${verdict.line}`;
  const print = `${keyType(key)} ${fingerprint(key)}`;
  if (verdict.state === "revoked") {
    return new AmiError("hostkey.revoked", `${host} shows ${print}, which ${where} revokes`, { host });
  }
  return new AmiError("hostkey.changed", `${host} shows ${print}, and ${where} knows another key of that type`, {
    host,
    hint: `only if you know why: ami-node ssh known-hosts remove ${host}`,
  });
}

/** As they stand, each once. Rejects with `usage.input` for what is no line of known_hosts, before anything is written. */
async function addLines(lines: readonly string[], named: string | undefined, ctx: Context): Promise<Output["keys"]> {
  const place = { configFile: ctx.options.sshConfig, home: homeFolder(), signal: ctx.signal };
  const file = named === undefined ? (await knownHostsFiles(place)).userKnownHostsFiles[0] : keyPath(named);
  if (file === undefined) throw new AmiError("usage.input", "the ssh config keeps no known hosts: name a --file");
  const wanted = lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  const entries = wanted.map((line) => {
    const [parsed] = parseKnownHosts(line);
    const entry = parsed && readEntry(parsed, file);
    if (entry !== undefined) return { line, entry };
    throw new AmiError("usage.input", `no line of known_hosts: ${line}`, {
      hint: "NAMES TYPE KEY, as ssh-keyscan prints",
    });
  });
  const before = (await readText(file)) ?? "";
  const isThere = (line: string): boolean => before.split("\n").some((row) => row.trim() === line);
  const fresh = entries.filter(({ line }, index) => !isThere(line) && wanted.indexOf(line) === index);
  if (fresh.length > 0) await appendKnownHosts(file, fresh.map(({ line }) => `${line}\n`).join(""));
  return entries.map(({ line, entry }) => ({
    host: entry.names,
    type: entry.type,
    fingerprint: fingerprint(entry.key),
    state: isThere(line) ? "known" : "added",
    file,
  }));
}

async function readLines(file: string, { stdio }: Context): Promise<string> {
  if (file !== "-") {
    return readFile(file, "utf8").catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new AmiError("usage.input", `${file} cannot be read: ${why}`, { cause });
    });
  }
  if (stdio === undefined) throw new AmiError("usage.input", "there is no stdin here");
  return text(stdio.stdin);
}
