/** Identities: the keys to log in with, in the order ssh tries them, from files and the agent; read once for all hosts. */
import type { Secret } from "../secret.ts";
import { type AgentKey, agentCertificates, agentKeys } from "./agent.ts";
import { type CertificateFile, certified, describeCertificate, doubtsAbout, readCertificates } from "./certificates.ts";
import { type KeyFile, type PrivateKey, type PublicKey, readKeyFile } from "./keys.ts";
import { fingerprint } from "./known-hosts.ts";
import type { Ask, SshOptions } from "./options.ts";

export type Hash = "sha256" | "sha512" | undefined;

/** One key to offer. */
export interface Identity {
  /** For people: `~/.ssh/id_ed25519`, `agent (me@laptop)`. */
  readonly from: string;
  /** Undefined: not known before the passphrase is. */
  readonly public: PublicKey | undefined;
  /** Signs at once and asks nobody: no need to find out first whether the server wants it. */
  readonly ready: PrivateKey | undefined;
  /** Makes it usable, asking for a passphrase if it must. Undefined when nobody gave the right one. */
  unlock(pause: Pause): Promise<Signer | undefined>;
}

export interface Signer extends PublicKey {
  sign(data: Buffer, hash: Hash): Promise<Buffer>;
}

/** Runs `work` with the connection's clock standing still. */
export type Pause = <T>(work: () => Promise<T>) => Promise<T>;

export interface KeyChoice {
  /** Tried before all others: named on the command line. Absolute paths. */
  readonly explicitFiles: readonly string[];
  readonly identityFiles: readonly string[];
  /** The config names them: worth a word when they are missing. */
  readonly identityFilesExplicit: boolean;
  readonly identitiesOnly: boolean;
  /** Certificates that the config names, besides those that lie beside keys. */
  readonly certificateFiles: readonly string[];
  /** Path of the agent's socket. */
  readonly agent: string | undefined;
}

export interface Identities {
  readonly list: readonly Identity[];
  /** What was in the way, in words: shown when the login fails. */
  readonly problems: readonly string[];
}

/** Keeps what was read and unlocked, so that 200 hosts read one file once and ask for one passphrase once. */
export interface KeyRing {
  identities(choice: KeyChoice): Promise<Identities>;
}

/** `patience`: milliseconds an agent may take to say what it holds. */
export function createKeyRing({ ask, passphrase }: Pick<SshOptions, "ask" | "passphrase">, patience = 5000): KeyRing {
  const files = new Map<string, Promise<KeyFile>>();
  const unlocked = new Map<string, Promise<PrivateKey | undefined>>();
  const agents = new Map<string, Promise<readonly AgentKey[] | Error>>();
  const certificates = new Map<string, Promise<readonly CertificateFile[]>>();

  const once = <T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> => {
    const found = cache.get(key) ?? make();
    cache.set(key, found);
    return found;
  };

  const fromFile = (file: KeyFile): Identity | undefined => {
    if (file.state === "ready") {
      return { from: file.path, public: file, ready: file, unlock: async () => signer(file) };
    }
    if (file.state !== "locked") return undefined;
    return {
      from: file.path,
      public: file.public,
      ready: undefined,
      async unlock(pause) {
        const key = await pause(() => once(unlocked, file.path, () => unlockFile(file, ask, passphrase)));
        return key === undefined ? undefined : signer(key);
      },
    };
  };

  return {
    async identities(choice) {
      const paths = [...new Set([...choice.explicitFiles, ...choice.identityFiles])];
      const [read, agent, vouched] = await Promise.all([
        Promise.all(paths.map((path) => once(files, path, () => readKeyFile(path)))),
        choice.agent === undefined ? [] : once(agents, choice.agent, () => listAgent(choice.agent ?? "", patience)),
        once(certificates, JSON.stringify([choice.certificateFiles, paths]), () =>
          readCertificates(choice.certificateFiles, paths),
        ),
      ]);
      const held = agent instanceof Error ? [] : agent;
      const problems = [
        ...read.flatMap((file) => problemOf(file, choice, held)),
        ...(agent instanceof Error ? [`the agent at ${choice.agent} does not answer (${agent.message})`] : []),
        ...doubtsAbout(vouched, held),
      ];
      return { list: withCertificates(vouched, inOrder(choice, read, held, fromFile), held), problems };
    },
  };
}

/**
 * ssh's order: keys of the agent that the config names, other keys of the agent, then files the agent does not hold;
 * before all that, what the command line names.
 */
function inOrder(
  choice: KeyChoice,
  read: readonly KeyFile[],
  held: readonly AgentKey[],
  fromFile: (file: KeyFile) => Identity | undefined,
): readonly Identity[] {
  const explicit = new Set(choice.explicitFiles);
  const inAgent = (file: KeyFile): AgentKey | undefined => held.find((key) => isSame(key, publicOf(file)));
  // A file that needs no passphrase signs by itself, even when the agent could.
  const best = (file: KeyFile): Identity | undefined => {
    const key = file.state === "ready" ? undefined : inAgent(file);
    return key === undefined ? fromFile(file) : fromAgent(key);
  };
  const named = read.filter((file) => !explicit.has(file.path));
  const others = choice.identitiesOnly ? [] : held.filter((key) => !read.some((file) => isSame(key, publicOf(file))));
  return [
    ...read.filter((file) => explicit.has(file.path)).map(best),
    ...named.filter((file) => inAgent(file) !== undefined).map(best),
    ...others.map(fromAgent),
    ...named.filter((file) => inAgent(file) === undefined).map(best),
  ].filter((identity) => identity !== undefined);
}

/** As with ssh those of files come first. Those of the agent are among its keys. */
function withCertificates(
  files: readonly CertificateFile[],
  list: readonly Identity[],
  held: readonly AgentKey[],
): readonly Identity[] {
  const usable = files.flatMap((file) => {
    if ("why" in file || file.about.kind !== "user") return [];
    // The agent signs for a key also where IdentitiesOnly keeps it from being offered.
    const fits = (key: PublicKey | undefined): boolean => isSame(file.about.key, key);
    const holder = held.find(fits);
    const key = list.find((identity) => fits(identity.public)) ?? (holder && fromAgent(holder));
    return key === undefined ? [] : [certified(key, file)];
  });
  return [...usable, ...list];
}

function fromAgent(key: AgentKey): Identity {
  return {
    from: `agent (${key.comment})`,
    public: key,
    ready: undefined,
    unlock: async () => key,
  };
}

function signer(key: PrivateKey): Signer {
  return { type: key.type, blob: key.blob, sign: async (data, hash) => key.sign(data, hash) };
}

async function unlockFile(
  file: KeyFile & { state: "locked" },
  ask: Ask | undefined,
  keptFor: SshOptions["passphrase"],
): Promise<PrivateKey | undefined> {
  const kept = await keptFor?.(file.path);
  const opened = kept && (await file.unlock(kept));
  if (opened !== undefined) return opened;
  for (let attempt = 1; ask !== undefined && attempt <= 3; attempt++) {
    const again = attempt === 1 ? "" : "Wrong. ";
    const text = `${again}Passphrase for key ${file.path}: `;
    const answer: Secret | undefined = await ask({ kind: "passphrase", host: "", text, echo: false, attempt });
    if (answer === undefined) return undefined;
    const key = await file.unlock(answer);
    if (key !== undefined) return key;
  }
  return undefined;
}

async function listAgent(path: string, patience: number): Promise<readonly AgentKey[] | Error> {
  try {
    const keys = await agentKeys(path, patience);
    const certificates = await agentCertificates(path, patience);
    // ssh-add gives it the key first. Whoever has a certificate made means it to be used.
    return [...certificates, ...keys];
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function problemOf(file: KeyFile, choice: KeyChoice, held: readonly AgentKey[]): string[] {
  if (file.state === "unusable") return [file.why];
  const isNamed = choice.identityFilesExplicit || choice.explicitFiles.includes(file.path);
  if (file.state === "missing" && isNamed) return [`${file.path} does not exist`];
  if (file.state === "public" && !held.some((key) => isSame(key, file))) {
    return [`${file.path} is only a public key, and the agent does not hold its other half`];
  }
  return [];
}

function publicOf(file: KeyFile): PublicKey | undefined {
  if (file.state === "public" || file.state === "ready") return file;
  return file.state === "locked" ? file.public : undefined;
}

function isSame(key: PublicKey, other: PublicKey | undefined): boolean {
  return other !== undefined && key.blob.equals(other.blob);
}

/** `ssh-ed25519 SHA256:... (~/.ssh/id_ed25519)`. */
export function describeIdentity(identity: Identity): string {
  const key = identity.public;
  if (key === undefined) return identity.from;
  const certificate = describeCertificate(key.blob);
  const says = certificate === undefined ? "" : `; ${certificate}`;
  return `${key.type} ${fingerprint(key.blob)} (${identity.from}${says})`;
}
