/** Host key: may we believe that this is the machine we were asked to reach? Nothing connects without this answer. */
import type { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { AmiError } from "../errors.ts";
import { mayKeysUse } from "./algorithms.ts";
import type { SshConfig } from "./config/ssh-config.ts";
import {
  type Certificate,
  isCertificate,
  isGenuine,
  readCertificate,
  signatureAlgorithm,
  whyInvalid,
} from "./key/certificate.ts";
import { type HostKeyVerdict, addHostKey, certAuthorities, checkHostKey, fingerprint, keyType } from "./known-hosts.ts";
import type { Pause } from "./identities.ts";
import type { Ask, SshOptions } from "./options.ts";

export interface HostKeyCheck {
  /** What the target is called. */
  readonly name: string;
  readonly config: SshConfig;
  /** The address behind the name, where it is known. */
  readonly address: string | undefined;
  /** Raw, as it came over the wire. */
  readonly key: Buffer;
  readonly options: Pick<SshOptions, "acceptNew" | "note">;
  readonly ask: Ask | undefined;
  readonly pause: Pause;
}

/** Resolves when the key may be trusted. Rejects with `hostkey.unknown`, `hostkey.changed` or `hostkey.revoked`. */
export async function judgeHostKey(check: HostKeyCheck): Promise<void> {
  const about = certificateOf(check.key);
  if (about === undefined) {
    // Not a key either: nothing to be asked about, and nothing to be written down.
    if (isCertificate(check.key)) throw unreadable(check);
    return judgePlain(check);
  }
  // Neither it, nor the key, nor who vouches for it may be revoked.
  for (const key of [check.key, about.key.blob, about.ca.blob]) {
    await refuseRevoked({ ...check, key });
    const verdict = await checkHostKey({
      ...hostOf(check.config),
      address: check.address,
      key,
      ...filesOf(check.config),
    });
    if (verdict.state === "revoked") throw revoked({ ...check, key }, `${verdict.file}:${verdict.line}`);
  }
  const authorities = await certAuthorities({ ...hostOf(check.config), ...filesOf(check.config) });
  const isTrusted = authorities.some(({ key }) => key.equals(about.ca.blob));
  const why = isTrusted ? whyInvalid(about, { kind: "host", name: nameInCertificate(check.config) }) : undefined;
  if (isTrusted && why === undefined && isSignedAs(about, check.config)) return;
  // As ssh does it: a certificate that says nothing leaves the plain key, which may be known by itself.
  const doubt = isTrusted
    ? (why ?? "its signature is not that of its authority, or of a kind that does not count")
    : "its authority is not one we know";
  return judgePlain({ ...check, key: about.key.blob, doubt: `the host certificate is not believed: ${doubt}` });
}

/** The key itself of what a server shows, which may be a certificate. */
export function plainHostKey(key: Buffer): Buffer {
  return certificateOf(key)?.key.blob ?? key;
}

/** Undefined: a plain key, or a certificate that cannot be read. */
function certificateOf(key: Buffer): Certificate | undefined {
  try {
    return isCertificate(key) ? readCertificate(key) : undefined;
  } catch {
    return undefined;
  }
}

function isSignedAs(certificate: Certificate, { caSignatureAlgorithms }: SshConfig): boolean {
  return isGenuine(certificate) && mayKeysUse(caSignatureAlgorithms)(signatureAlgorithm(certificate));
}

function nameInCertificate({ hostKeyAlias, hostName }: SshConfig): string {
  return hostKeyAlias ?? hostName;
}

/** `doubt`: why the certificate it came in is not believed. */
async function judgePlain(check: HostKeyCheck & { readonly doubt?: string }): Promise<void> {
  const { config, key } = check;
  await refuseRevoked(check);
  const verdict = await checkHostKey({ ...hostOf(config), address: check.address, key, ...filesOf(config) });
  if (verdict.state === "known") {
    if (check.doubt !== undefined) check.options.note?.({ host: check.name, level: "warn", text: check.doubt });
    return;
  }
  if (verdict.state === "changed") throw changed(check, verdict);
  if (verdict.state === "revoked") throw revoked(check, `${verdict.file}:${verdict.line}`);
  const policy = config.strictHostKeyChecking;
  if (check.options.acceptNew === true || policy === "accept-new" || policy === "no") return writeDown(check);
  if (
    policy === "ask" &&
    check.ask !== undefined &&
    !config.batchMode &&
    (await isAccepted(check, check.ask, verdict))
  ) {
    return writeDown(check);
  }
  throw unknown(check, verdict);
}

export function hostOf(config: SshConfig): { host: string; port: number; hostKeyAlias: string | undefined } {
  return { host: config.hostName, port: config.port, hostKeyAlias: config.hostKeyAlias };
}

export function filesOf(config: SshConfig): { userFiles: readonly string[]; globalFiles: readonly string[] } {
  return { userFiles: config.userKnownHostsFiles, globalFiles: config.globalKnownHostsFiles };
}

async function writeDown({ name, config, key, options }: HostKeyCheck): Promise<void> {
  const [file] = config.userKnownHostsFiles;
  if (file === undefined) return;
  try {
    const isNew = await addHostKey({ file, ...hostOf(config), key, hash: config.hashKnownHosts });
    if (!isNew) return;
  } catch (error) {
    // As ssh: a home that cannot be written (a build machine) is no reason to stay outside. A name that could be read
    // as a pattern is: next time it would stand for other machines.
    if (!(error instanceof AmiError) || error.cause === undefined) throw error;
    options.note?.({ host: name, level: "warn", text: `${error.message}; the next run will not know the host key` });
    return;
  }
  options.note?.({ host: name, level: "info", text: `host key ${fingerprint(key)} is new; written to ${file}` });
}

async function isAccepted(check: HostKeyCheck, ask: Ask, verdict: HostKeyVerdict): Promise<boolean> {
  const { key } = check;
  const print = fingerprint(key);
  const seen = verdict.elsewhere.map(
    ({ file, line, names: known }) => `\nThis key is known by another name: ${file}:${line} ${known}`,
  );
  const text =
    `The host key of ${at(check)} is not known.\n${keyType(key)} ${print}${seen.join("")}\n` +
    "Is this the right machine? (yes, no, or the fingerprint) ";
  for (let attempt = 1; attempt <= 3; attempt++) {
    const question = { kind: "host-key", host: check.name, text, echo: true, attempt } as const;
    const said = (await check.pause(() => ask(question)))?.reveal().trim();
    if (said === undefined || /^no?$/i.test(said)) return false;
    if (/^yes$/i.test(said) || said === print) return true;
  }
  return false;
}

/** RevokedHostKeys of the config: public keys, one a line. A list that cannot be read forbids every key, as with ssh. */
async function refuseRevoked(check: HostKeyCheck): Promise<void> {
  const base64 = check.key.toString("base64");
  for (const file of check.config.revokedHostKeys) {
    const text = await readFile(file, "latin1").catch((error: unknown) => {
      throw new AmiError(
        "hostkey.revoked",
        `the list of revoked host keys ${file} cannot be read, so no key can be trusted`,
        {
          host: check.name,
          hint: "correct RevokedHostKeys in the ssh config",
          cause: error,
        },
      );
    });
    if (text.startsWith("SSHKRL\n\0")) {
      throw new AmiError(
        "hostkey.revoked",
        `the list of revoked host keys ${file} is a KRL, which cannot be read yet`,
        {
          host: check.name,
          hint: "name a plain list of public keys in RevokedHostKeys",
        },
      );
    }
    const line = text.split("\n").findIndex((row) => row.split(/\s+/).includes(base64));
    if (line >= 0) throw revoked(check, `${file}:${line + 1}`);
  }
}

function unknown(check: HostKeyCheck & { readonly doubt?: string }, verdict: HostKeyVerdict): AmiError {
  const { key } = check;
  const authority = verdict.certAuthority;
  return new AmiError(
    "hostkey.unknown",
    `the host key of ${at(check)} is not known: ${keyType(key)} ${fingerprint(key)}` +
      (check.doubt === undefined ? "" : `\n  ${check.doubt}`) +
      (authority === undefined || check.doubt !== undefined
        ? ""
        : `\n  ${authority.file}:${authority.line} trusts a certificate authority for it, and it shows no certificate`),
    {
      host: check.name,
      hint: "compare the fingerprint (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), then run again with --accept-new",
    },
  );
}

function unreadable(check: HostKeyCheck): AmiError {
  return new AmiError("ssh.protocol", `${at(check)} shows a host certificate that cannot be read`, {
    host: check.name,
    hint: "ssh-keygen -L shows what is wrong with it, where it lies (HostCertificate in the sshd_config there)",
  });
}

function changed(check: HostKeyCheck, verdict: HostKeyVerdict): AmiError {
  const { key } = check;
  return new AmiError(
    "hostkey.changed",
    `THE HOST KEY OF ${at(check)} HAS CHANGED: it was reinstalled, or somebody is in between` +
      `\n  it shows ${keyType(key)} ${fingerprint(key)}` +
      `\n  known is ${verdict.keyTypes.join(", ")} ${verdict.knownFingerprints.join(", ")} (${verdict.file}:${verdict.line})`,
    {
      host: check.name,
      hint: `only if you know why: ami-node ssh known-hosts remove ${quotedName(check.config)} --file ${verdict.file}`,
    },
  );
}

function revoked(check: HostKeyCheck, where: string): AmiError {
  return new AmiError(
    "hostkey.revoked",
    `the host key of ${at(check)} is revoked: ${fingerprint(check.key)} (${where})`,
    {
      host: check.name,
      hint: "do not log in there: the key is marked as stolen or given up. Give the machine a new one",
    },
  );
}

function at({ name, config }: HostKeyCheck): string {
  const address = config.port === 22 ? config.hostName : `[${config.hostName}]:${config.port}`;
  return name === config.hostName ? address : `${name} (${address})`;
}

/** The name the key is recorded under, as a word for a shell. */
function quotedName(config: SshConfig): string {
  if (config.hostKeyAlias !== undefined) return config.hostKeyAlias;
  return config.port === 22 ? config.hostName : `'[${config.hostName}]:${config.port}'`;
}
