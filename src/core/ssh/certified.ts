/** Certified: logins and host keys with certificates, which ssh2 1.17 knows nothing of. */
import { Buffer } from "node:buffer";
import type { Client } from "ssh2";
import { derNumbers, readCertificate } from "./key/certificate.ts";
import { isKeyExchange, packets, sendPayload, withHostKeys } from "./packets.ts";
import type { SignWith } from "./inside.ts";
import { stranger } from "./inside.ts";
import { wire } from "./wire.ts";

const ending = "-cert-v01@openssh.com";

/** The algorithm beneath that of a certificate: `rsa-sha2-512`. */
export function plainAlgorithm(algorithm: string): string {
  return algorithm.endsWith(ending) ? algorithm.slice(0, -ending.length) : algorithm;
}

/**
 * As `Protocol.authPK`, for a certificate. There ssh2 would take the signature for one of the certificate's own
 * algorithm, while it is of the plain one.
 */
export function authCertificate(
  client: Client,
  user: string,
  blob: Buffer,
  algorithm: string,
  sign: SignWith | undefined,
): void {
  const to = packets(client);
  const session = to._kex?.sessionID;
  if (session === undefined) throw stranger();
  const head = Buffer.concat([Buffer.of(userauthRequest), wire(user, "ssh-connection", "publickey")]);
  const request = Buffer.concat([head, Buffer.of(sign === undefined ? 0 : 1), wire(algorithm, blob)]);
  const send = (payload: Buffer): void => {
    to._authsQueue.push("publickey");
    sendPayload(to, payload);
  };
  if (sign === undefined) return send(request);
  sign(Buffer.concat([wire(session), request]), (signature) => {
    const plain = plainAlgorithm(algorithm);
    const isDer = plain.startsWith("ecdsa-") && signature[0] === derSequence;
    const bytes = isDer ? wire(...derNumbers(signature)) : signature;
    send(Buffer.concat([request, wire(wire(plain, bytes))]));
  });
}

const userauthRequest = 50;
const derSequence = 0x30;

/**
 * Offers these algorithms for the host key, certificates among them. To be called right after `client.connect`; the
 * host verifier is then shown whole certificates and has to look at all of them but the key itself.
 */
export function offerHostKeys(client: Client, names: readonly string[]): void {
  const protocol = packets(client);
  protocol._offer = withHostKeys(protocol._offer, names);
  let current = protocol._kex;
  Object.defineProperty(protocol, "_kex", {
    configurable: true,
    enumerable: true,
    get: () => current,
    set(next: unknown) {
      if (next !== undefined && !isKeyExchange(next)) throw stranger();
      current = next;
      if (next?.negotiated.serverHostKey.endsWith(ending) === true) takeCertificate(next);
    },
  });
}

/** A key exchange in which the server shows a certificate and signs with the key that it is about. */
function takeCertificate(exchange: ReturnType<typeof packets>["_kex"] & object): void {
  const { negotiated } = exchange;
  const algorithm = negotiated.serverHostKey;
  const { finish, getPublicKey } = exchange;
  // ssh2 compares it with the type that the certificate says it has, and that is the same for every hash.
  negotiated.serverHostKey = algorithm.replace(/^rsa-sha2-\d+/, "ssh-rsa");
  exchange.finish = (...args) => {
    // Asked for when the certificate has gone into the hash, and before the signature is looked at.
    exchange.getPublicKey = () => {
      if (exchange._hostKey !== undefined) exchange._hostKey = readCertificate(exchange._hostKey).key.blob;
      negotiated.serverHostKey = plainAlgorithm(algorithm);
      exchange.getPublicKey = getPublicKey;
      return getPublicKey.call(exchange);
    };
    return finish.apply(exchange, args);
  };
}
