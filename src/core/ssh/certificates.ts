/** Certificates: those of users, from files and the agent, each with the key that it is about. */
import { readFile } from "node:fs/promises";
import type { AgentKey } from "./agent.ts";
import type { Identity } from "./identities.ts";
import { type Certificate, dateOf, readCertificate, whyInvalid } from "./key/certificate.ts";
import type { PublicKey } from "./keys.ts";

/** A certificate of a file, or why it is of no use. */
export type CertificateFile =
  | ({ readonly path: string; readonly about: Certificate; readonly isNamed: boolean } & PublicKey)
  | { readonly path: string; readonly why: string };

/**
 * `named`: CertificateFile of the config, worth a word when missing. `keys`: paths of keys, beside which one may lie: those
 * are shown to nobody when the config names others, as with ssh.
 */
export async function readCertificates(
  named: readonly string[],
  keys: readonly string[],
): Promise<readonly CertificateFile[]> {
  const beside = named.length > 0 ? [] : keys.map((path) => `${path.replace(/\.pub$/, "")}-cert.pub`);
  const paths = [...new Set([...named, ...beside])];
  const read = await Promise.all(paths.map((path) => readOne(path, named.includes(path))));
  return read.filter((file) => file !== undefined);
}

async function readOne(path: string, isNamed: boolean): Promise<CertificateFile | undefined> {
  const text = await readFile(path, "latin1").catch((error: unknown) => {
    const isMissing = typeof error === "object" && error !== null && "code" in error && error.code === "ENOENT";
    return isMissing ? undefined : "";
  });
  if (text === undefined) return isNamed ? { path, why: `${path} does not exist` } : undefined;
  const base64 = /^\s*\S+-cert-v01@openssh\.com\s+([A-Za-z0-9+/]+=*)/.exec(text)?.[1];
  try {
    const blob = Buffer.from(base64 ?? "", "base64");
    const about = readCertificate(blob);
    return { path, type: about.type, blob, about, isNamed };
  } catch {
    return { path, why: `${path} holds no certificate that can be read` };
  }
}

/** The certificate in the place of its key: whatever signs for the key signs for it. */
export function certified(key: Identity, file: PublicKey & { readonly path: string }): Identity {
  const { type, blob } = file;
  return {
    from: file.path,
    public: { type, blob },
    ready: key.ready === undefined ? undefined : { ...key.ready, type, blob },
    async unlock(pause) {
      const signer = await key.unlock(pause);
      return signer === undefined ? undefined : { ...signer, type, blob };
    },
  };
}

/** Said when the login fails: the server may have had these reasons. */
export function doubtsAbout(files: readonly CertificateFile[], held: readonly AgentKey[]): string[] {
  const fromAgent = held.flatMap(({ blob, comment }) => {
    const about = readOrNone(blob);
    return about === undefined ? [] : [{ path: `the certificate of the agent (${comment})`, about }];
  });
  return [...files, ...fromAgent].flatMap((file) => {
    if ("why" in file) return [file.why];
    const why = whyInvalid(file.about, { kind: "user" });
    return why === undefined ? [] : [`${file.path}: ${why}`];
  });
}

/** For people: who may log in with it, and until when. */
export function describeCertificate(blob: Buffer): string | undefined {
  const about = readOrNone(blob);
  if (about === undefined) return undefined;
  const { principals, before } = about;
  const until = before === "forever" ? "" : `, until ${dateOf(before).toISOString().slice(0, 16)}Z`;
  return `for ${principals.length === 0 ? "anybody" : principals.join(", ")}${until}`;
}

function readOrNone(blob: Buffer): Certificate | undefined {
  try {
    return readCertificate(blob);
  } catch {
    return undefined;
  }
}
