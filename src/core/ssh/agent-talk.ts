/** Agent talk: what keys an ssh-agent holds, and giving it more or fewer (draft-ietf-sshm-ssh-agent). */
import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { connect } from "node:net";
import { AmiError } from "../errors.ts";
import { halvesOf } from "./key/halves.ts";
import { readWire, uint32, wire } from "./wire.ts";

export interface HeldKey {
  readonly type: string;
  readonly blob: Buffer;
  readonly comment: string;
}

export interface AddOptions {
  readonly comment: string;
  /** Seconds; then the agent forgets the key. */
  readonly lifetime?: number | undefined;
  /** The agent asks a person before each use. */
  readonly confirm?: boolean | undefined;
  /** The certificate of the key, to be held beside it. */
  readonly certificate?: Buffer | undefined;
}

export interface AgentTalk {
  list(): Promise<HeldKey[]>;
  /** `hash` for RSA keys. What is resolved is the bare signature, without its algorithm. */
  sign(blob: Buffer, data: Buffer, hash: "sha256" | "sha512" | undefined): Promise<Buffer>;
  /** A key that is there already takes the new constraints. */
  add(key: KeyObject, options: AddOptions): Promise<void>;
  /** False: it was not there. */
  remove(blob: Buffer): Promise<boolean>;
  removeAll(): Promise<void>;
}

/** Every question makes a connection of its own. Rejects with `ssh.agent`. */
export function talkToAgent(socketPath: string, signal: AbortSignal): AgentTalk {
  const ask = async (message: Buffer): Promise<Buffer> => {
    const answer = await exchange(socketPath, message, signal);
    if (answer[0] === undefined) throw new AmiError("ssh.agent", `the agent at ${socketPath} gave an empty answer`);
    return answer;
  };
  const demand = async (message: Buffer, what: string): Promise<void> => {
    const [kind] = await ask(message);
    if (kind !== code.success) {
      throw new AmiError("ssh.agent", `the agent refuses to ${what}`, {
        hint: "it may be locked (ssh-add -X), or not able to keep such keys (gpg-agent, agents of password managers)",
      });
    }
  };
  const list = async (): Promise<HeldKey[]> => {
    const answer = await ask(Buffer.of(code.list));
    if (answer[0] !== code.keys) throw new AmiError("ssh.agent", `the agent at ${socketPath} does not tell its keys`);
    const reader = readWire(answer.subarray(1));
    return Array.from({ length: reader.uint32() }, () => {
      const blob = reader.string();
      return { type: readWire(blob).text(), blob, comment: reader.text() };
    });
  };
  return {
    list,
    async sign(blob, data, hash) {
      const flags = hash === undefined ? 0 : { sha256: 2, sha512: 4 }[hash];
      const answer = await ask(Buffer.concat([Buffer.of(code.sign), wire(blob, data), uint32(flags)]));
      if (answer[0] !== code.signature) throw new AmiError("ssh.agent", "the agent refuses to sign");
      const signature = readWire(readWire(answer.subarray(1)).string());
      signature.string();
      return signature.string();
    },
    async add(key, { comment, lifetime, confirm, certificate }) {
      const { type, secret } = halvesOf(key);
      const constraints = Buffer.concat([
        ...(lifetime === undefined ? [] : [Buffer.of(1), uint32(lifetime)]),
        ...(confirm === true ? [Buffer.of(2)] : []),
      ]);
      const body = certificate === undefined ? secret : withCertificate(type, secret, certificate);
      const kind = constraints.length === 0 ? code.add : code.addConstrained;
      await demand(Buffer.concat([Buffer.of(kind), body, wire(comment), constraints]), "take the key");
    },
    async remove(blob) {
      if (!(await list()).some((held) => held.blob.equals(blob))) return false;
      await demand(Buffer.concat([Buffer.of(code.remove), wire(blob)]), "give the key up");
      return true;
    },
    removeAll: () => demand(Buffer.of(code.removeAll), "give its keys up"),
  };
}

const code = {
  success: 6,
  list: 11,
  keys: 12,
  sign: 13,
  signature: 14,
  add: 17,
  remove: 18,
  removeAll: 19,
  addConstrained: 25,
};

/** The certificate stands for the numbers that it holds itself; what is left are those of the private half. */
function withCertificate(type: string, secret: Buffer, certificate: Buffer): Buffer {
  const reader = readWire(secret);
  reader.string();
  const parts: Buffer[] = [];
  while (reader.left > 0) parts.push(reader.string());
  const kept = type === "ssh-ed25519" ? parts : parts.slice(2);
  return wire(readWire(certificate).text(), certificate, ...kept);
}

async function exchange(socketPath: string, message: Buffer, signal: AbortSignal): Promise<Buffer> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = connect(socketPath);
  const heard: Buffer[] = [];
  const stop = (): void => reject(new AmiError("run.cancelled", "interrupted", { cause: signal.reason }));
  signal.addEventListener("abort", stop, { once: true });
  socket.on("data", (bytes: Buffer) => {
    heard.push(bytes);
    const all = Buffer.concat(heard);
    if (all.length >= 4 && all.length >= 4 + all.readUInt32BE(0)) resolve(all.subarray(4, 4 + all.readUInt32BE(0)));
  });
  socket.on("error", (cause) => {
    reject(
      new AmiError("ssh.agent", `no agent answers at ${socketPath}: ${cause.message}`, {
        hint: 'start one with: eval "$(ssh-agent)"',
        cause,
      }),
    );
  });
  socket.on("close", () => reject(new AmiError("ssh.agent", `the agent at ${socketPath} hung up`)));
  socket.write(wire(message));
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
    socket.destroy();
  }
}

/** Throws `ssh.agent` when the environment names none. */
export function agentSocket(env: NodeJS.ProcessEnv): string {
  const path = env["SSH_AUTH_SOCK"];
  if (path !== undefined && path !== "") return path;
  throw new AmiError("ssh.agent", "there is no agent: SSH_AUTH_SOCK is not set", {
    hint: 'start one with: eval "$(ssh-agent)"',
  });
}
