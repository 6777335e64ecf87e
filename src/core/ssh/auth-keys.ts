/** Auth keys: offers keys one by one, in place of the `none` requests that ssh2 believes to send. */
import type { AnyAuthMethod, Client } from "ssh2";
import { AmiError } from "../errors.ts";
import type { AuthReport } from "./auth-report.ts";
import type { Hash, Identity, Signer } from "./identities.ts";
import { authCertificate, plainAlgorithm } from "./certified.ts";
import { type Protocol, type SignWith, inside } from "./inside.ts";
import { isCertificate } from "./key/certificate.ts";
import type { PublicKey } from "./keys.ts";
import type { Login } from "./login.ts";

interface Outcome {
  /** This key led nowhere, and no request is under way. */
  advance(): void;
  /** The whole login is over. */
  fail(error: unknown): void;
}

export function createKeyOffers(login: Login, report: AuthReport, { advance, fail }: Outcome) {
  const used = new Set<Identity>();
  let client: Client | undefined;
  let protocol: Protocol | undefined;
  let rsaAlgorithms: readonly string[] | undefined;
  let instead: (() => void) | undefined;
  let current: { identity: Identity; algorithm: string } | undefined;

  const say = (error: unknown): void => void report.notes.push(error instanceof Error ? error.message : String(error));

  const request = (key: PublicKey, algorithm: string, sign?: SignWith): void => {
    if (client !== undefined && isCertificate(key.blob)) authCertificate(client, login.user, key.blob, algorithm, sign);
    else protocol?.authPK(login.user, key.blob, algorithm, sign);
  };

  /** True when a request went out. */
  const offer = (identity: Identity, key: PublicKey): boolean => {
    used.add(identity);
    const algorithm = algorithmFor(key.type, rsaAlgorithms, login);
    if (algorithm === undefined) {
      report.notes.push(`${identity.from}: PubkeyAcceptedAlgorithms of the ssh config allows no ${key.type}`);
      return false;
    }
    current = { identity, algorithm };
    const { ready } = identity;
    try {
      // A key that can sign without asking anybody is not announced first: that would be one more round trip.
      if (ready === undefined) request(key, algorithm);
      else request(key, algorithm, (data, done) => done(ready.sign(data, hashOf(algorithm))));
      report.offered.push(identity);
      return true;
    } catch (error) {
      say(error);
      return false;
    }
  };

  /** The server would take the announced key. */
  const onWanted = async (): Promise<void> => {
    if (current === undefined) return;
    const { identity, algorithm } = current;
    login.watch?.auth?.({ method: "publickey", identity, is: "wanted" });
    const key = await unlock(identity);
    if (key === undefined) return advance();
    request(key, algorithm, (data, done) => {
      key
        .sign(data, hashOf(algorithm))
        .then(done)
        .catch((error: unknown) => {
          say(`${identity.from} did not sign: ${error instanceof Error ? error.message : String(error)}`);
          advance();
        });
    });
  };

  const unlock = async (identity: Identity): Promise<Signer | undefined> => {
    try {
      const key = await identity.unlock(login.pause);
      if (key === undefined) report.notes.push(`${identity.from} is encrypted and its passphrase was not given`);
      return key;
    } catch (error) {
      if (error instanceof AmiError) throw error; // whoever was asked wants to stop
      say(error);
      return undefined;
    }
  };

  return {
    offer,
    nextOne: () => login.identities.list.find((identity) => !used.has(identity)),
    /** How to send the offer; undefined when this key cannot be used. */
    async prepare(identity: Identity): Promise<(() => void) | undefined> {
      used.add(identity);
      const open = identity.public;
      const send = (key: PublicKey) => (): void => {
        if (!offer(identity, key)) advance();
      };
      if (open !== undefined) return send(open);
      // Nothing tells which key it is but the key itself.
      const key = await unlock(identity);
      return key === undefined ? undefined : send(key);
    },
    inPlaceOfNone(send: (() => void) | undefined): AnyAuthMethod {
      instead = send;
      return { type: "none", username: login.user };
    },
    takeOver(of: Client): void {
      client = of;
      const to = inside(of)._protocol;
      protocol = to;
      const { authNone, _handlers: handlers } = to;
      const { EXT_INFO } = handlers;
      to.authNone = (user) => (instead === undefined ? authNone.call(to, user) : instead());
      handlers.EXT_INFO = (self, extensions) => {
        rsaAlgorithms ??= extensions.find(({ name }) => name === "server-sig-algs")?.algs;
        EXT_INFO(self, extensions);
      };
      handlers.USERAUTH_PK_OK = () => void onWanted().catch(fail);
    },
  };
}

/**
 * RSA keys sign with SHA-2; a server that does not say what it takes gets the strongest. Undefined: the config allows
 * none that this key has.
 */
function algorithmFor(
  type: string,
  rsaAlgorithms: readonly string[] | undefined,
  { mayUse }: Pick<Login, "mayUse">,
): string | undefined {
  if (plainAlgorithm(type) !== "ssh-rsa") return mayUse(type) ? type : undefined;
  const ending = type.slice("ssh-rsa".length); // of a certificate
  const strong = ["rsa-sha2-512", "rsa-sha2-256"].filter((name) => mayUse(name + ending));
  const first = strong.find((name) => rsaAlgorithms?.includes(name) ?? true) ?? strong[0];
  if (ending !== "") return first === undefined ? undefined : first + ending;
  const isKnown = first !== undefined && (rsaAlgorithms?.includes(first) ?? !mayUse(type));
  return mayUse(type) && !isKnown ? type : first;
}

function hashOf(algorithm: string): Hash {
  const plain = plainAlgorithm(algorithm);
  if (plain === "rsa-sha2-512") return "sha512";
  return plain === "rsa-sha2-256" ? "sha256" : undefined;
}
