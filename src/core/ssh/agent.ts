/** Agent: keys that somebody else holds and signs with (ssh-agent, gpg-agent, Pageant). */
import { Buffer } from "node:buffer";
import type { BaseAgent, ParsedKey } from "ssh2";
import { formatDuration } from "../duration.ts";
import { talkToAgent } from "./agent-talk.ts";
import { isCertificate } from "./key/certificate.ts";

export interface AgentKey {
  readonly type: string;
  /** The public key as it goes over the wire. */
  readonly blob: Buffer;
  readonly comment: string;
  /** `hash` for RSA keys: sha256 or sha512. Rejects when the agent refuses. */
  sign(data: Buffer, hash: "sha256" | "sha512" | undefined): Promise<Buffer>;
}

/** What the agent at a socket path holds. Rejects when none answers there within `ms`: it asks nobody for that. */
export async function agentKeys(socketPath: string, ms = 5000): Promise<readonly AgentKey[]> {
  const { createAgent } = (await import("ssh2")).default;
  const agent = createAgent(socketPath);
  const keys = await new Promise<ParsedKey[]>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing was heard for ${formatDuration(ms)}`)), ms);
    agent.getIdentities((error, found) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve(parsedKeys(found));
    });
  });
  return keys.map((key) => ({
    type: key.type,
    blob: key.getPublicSSH(),
    comment: key.comment,
    sign: (data, hash) => sign(agent, key, data, hash),
  }));
}

/**
 * The certificates among what it holds, which ssh2 passes over. What is no answer is none: `agentKeys` tells why. (Pageant
 * has no socket that can be asked.)
 */
export async function agentCertificates(socketPath: string, ms = 5000): Promise<readonly AgentKey[]> {
  const held = await talkToAgent(socketPath, AbortSignal.timeout(ms))
    .list()
    .catch(() => []);
  return held
    .filter(({ blob }) => isCertificate(blob))
    .map(({ type, blob, comment }) => ({
      type,
      blob,
      comment,
      // Somebody may have to confirm it, and takes the time it takes.
      sign: (data, hash) => talkToAgent(socketPath, new AbortController().signal).sign(blob, data, hash),
    }));
}

function sign(agent: BaseAgent, key: ParsedKey, data: Buffer, hash: "sha256" | "sha512" | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    agent.sign(key, data, hash === undefined ? {} : { hash }, (error, signature) => {
      if (error || signature === undefined) reject(error ?? new Error("the agent gave no signature"));
      else resolve(Buffer.isBuffer(signature) ? signature : Buffer.from(signature));
    });
  });
}

/** ssh2's own agent answers with parsed keys; the type allows other forms for agents people write. */
function parsedKeys(found: readonly unknown[] | undefined): ParsedKey[] {
  return (found ?? []).filter(
    (key): key is ParsedKey => typeof key === "object" && key !== null && "getPublicSSH" in key && "type" in key,
  );
}
