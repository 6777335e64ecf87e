/**
 * Auth: logs in, trying what ssh would try in the order ssh would try it, with as few round trips as can be.
 * ssh2 keeps the state of the protocol; which request goes out next is decided here.
 */
import type { AnyAuthMethod, Client, KeyboardInteractiveCallback, Prompt } from "ssh2";
import type { AmiError } from "../errors.ts";
import type { Secret } from "../secret.ts";
import { type AuthReport, authError } from "./auth-report.ts";
import type { Hash, Identities, Identity, Pause } from "./identities.ts";
import { type Protocol, inside } from "./inside.ts";
import type { PublicKey } from "./keys.ts";
import type { Ask } from "./options.ts";

export interface Login {
  /** What the target is called. */
  readonly name: string;
  readonly host: string;
  readonly user: string;
  readonly identities: Identities;
  /** In the order to try them; what is switched off is not among them. */
  readonly methods: readonly Method[];
  readonly ask: Ask | undefined;
  /** How often a person is asked for one password or code. */
  readonly prompts: number;
  /** The config allows RSA keys to sign with SHA-1, for servers that know nothing better. */
  readonly allowsSha1: boolean;
  readonly pause: Pause;
  readonly memory: Memory;
}

export type Method = "publickey" | "keyboard-interactive" | "password";

/** Lives as long as the pool, so that a second connection logs in without asking again. */
export interface Memory {
  /** The one that worked. */
  password?: Secret | undefined;
  /** Something else was asked for, such as a one-time code: a second login would have to ask again. */
  challenged?: boolean;
}

export interface Authentication {
  /** For ssh2's `authHandler`. */
  readonly handler: (methodsLeft: unknown, partial: unknown, next: (method: AnyAuthMethod) => void) => void;
  /** To be called right after `client.connect`. */
  takeOver(client: Client): void;
  /** Rejects with `ssh.auth` when nothing is left to try. Never resolves. */
  readonly failed: Promise<never>;
  /** What was tried so far, as the error to throw when the server hangs up. */
  error(saying?: string): AmiError;
  succeeded(): void;
}

/** What goes out next. `none` finds out what the server accepts before a person is bothered. */
type Attempt =
  | { readonly method: "publickey"; readonly identity: Identity }
  | { readonly method: Exclude<Method, "publickey"> | "none" };

export function authenticate(login: Login): Authentication {
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  failed.catch(() => undefined); // whoever waits for the login races it; nobody may be waiting yet
  const report: AuthReport = {
    name: login.name,
    user: login.user,
    host: login.host,
    tried: new Set(),
    offered: [],
    accepts: undefined,
    notes: [...login.identities.problems],
    canAsk: login.ask !== undefined,
  };
  const questions = createQuestions(login);
  const keys = createKeyOffers(login, report, () => advance());
  const counts = new Map<Method, number>();
  let proceed: ((method: AnyAuthMethod) => void) | undefined;
  /** Sent along with the service request, before ssh2 asked for it. */
  let early = false;

  const choose = (): Attempt | undefined => {
    const accepts = (method: Method): boolean => report.accepts?.includes(method) ?? true;
    for (const method of login.methods.filter(accepts)) {
      if (method === "publickey") {
        const identity = keys.nextOne();
        if (identity !== undefined) return { method, identity };
      } else if ((counts.get(method) ?? 0) < login.prompts && questions.canAnswer(method)) {
        return { method: report.accepts === undefined ? "none" : method };
      }
    }
    return report.accepts === undefined ? { method: "none" } : undefined;
  };

  const next = async (): Promise<AnyAuthMethod | undefined> => {
    for (let attempt = choose(); attempt !== undefined; attempt = choose()) {
      report.tried.add(attempt.method);
      if (attempt.method === "none") return keys.inPlaceOfNone(undefined);
      if (attempt.method === "publickey") {
        const send = await keys.prepare(attempt.identity);
        if (send === undefined) continue;
        return keys.inPlaceOfNone(send);
      }
      counts.set(attempt.method, (counts.get(attempt.method) ?? 0) + 1);
      const method = await questions.method(attempt.method);
      if (method !== undefined) return method;
    }
    return undefined;
  };

  const advance = (): void => {
    next().then(
      (method) => (method === undefined ? fail(authError(report)) : proceed?.(method)),
      (error: unknown) => fail(error),
    );
  };

  return {
    handler(methodsLeft, partial, go) {
      proceed = go;
      if (Array.isArray(methodsLeft)) report.accepts = methodsLeft.filter((each) => typeof each === "string");
      if (partial === true) {
        counts.clear(); // one factor is done, and the next may be of the same kind
        report.notes.push(`${[...report.tried].at(-1)} was accepted, but the server wants more than that`);
      }
      if (!early) return advance();
      early = false;
      return go(keys.inPlaceOfNone(() => undefined));
    },
    takeOver(client) {
      const { _protocol: protocol } = inside(client);
      const { service } = protocol;
      keys.takeOver(protocol);
      protocol.service = (name) => {
        service.call(protocol, name);
        // Servers we know read a request that comes right behind: one round trip less.
        const first = isModernOpenSsh(inside(client)._remoteVer) ? choose() : undefined;
        if (first?.method !== "publickey" || first.identity.ready === undefined) return;
        report.tried.add(first.method);
        early = keys.offer(first.identity, first.identity.ready);
      };
    },
    failed,
    error: (saying) => authError(report, saying),
    succeeded: () => questions.remember(),
  };
}

/** Offers keys one by one, in place of the `none` requests that ssh2 believes to send. */
function createKeyOffers(login: Login, report: AuthReport, advance: () => void) {
  const used = new Set<Identity>();
  let protocol: Protocol | undefined;
  let rsaAlgorithms: readonly string[] | undefined;
  let instead: (() => void) | undefined;
  let current: { identity: Identity; algorithm: string } | undefined;

  const say = (error: unknown): void => void report.notes.push(error instanceof Error ? error.message : String(error));
  const notUnlocked = (identity: Identity): void =>
    void report.notes.push(`${identity.from} is encrypted and its passphrase was not given`);

  /** True when a request went out. */
  const offer = (identity: Identity, key: PublicKey): boolean => {
    used.add(identity);
    const algorithm = algorithmFor(key.type, rsaAlgorithms, login.allowsSha1);
    current = { identity, algorithm };
    const { ready } = identity;
    try {
      // A key that can sign without asking anybody is not announced first: that would be one more round trip.
      if (ready === undefined) protocol?.authPK(login.user, key.blob, algorithm);
      else protocol?.authPK(login.user, key.blob, algorithm, (data, done) => done(ready.sign(data, hashOf(algorithm))));
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
    try {
      const key = await identity.unlock(login.pause);
      if (key === undefined) {
        notUnlocked(identity);
        return advance();
      }
      protocol?.authPK(login.user, key.blob, algorithm, (data, done) => {
        key.sign(data, hashOf(algorithm)).then(done, (error: unknown) => {
          say(error);
          advance();
        });
      });
    } catch (error) {
      say(error);
      advance();
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
      try {
        const key = await identity.unlock(login.pause);
        if (key !== undefined) return send(key);
        notUnlocked(identity);
      } catch (error) {
        say(error);
      }
      return undefined;
    },
    inPlaceOfNone(send: (() => void) | undefined): AnyAuthMethod {
      instead = send;
      return { type: "none", username: login.user };
    },
    takeOver(to: Protocol): void {
      protocol = to;
      const { authNone, _handlers: handlers } = to;
      const { EXT_INFO } = handlers;
      to.authNone = (user) => (instead === undefined ? authNone.call(to, user) : instead());
      handlers.EXT_INFO = (self, extensions) => {
        rsaAlgorithms ??= extensions.find(({ name }) => name === "server-sig-algs")?.algs;
        EXT_INFO(self, extensions);
      };
      handlers.USERAUTH_PK_OK = () => void onWanted();
    },
  };
}

/** Answers what the server wants to know from a person, or from memory. */
function createQuestions(login: Login) {
  const asked = new Map<"password" | "challenge", number>();
  /** Methods nobody answered: not tried again. */
  const dead = new Set<Method>();
  let candidate: Secret | undefined;

  const ask = async (kind: "password" | "challenge", text: string, echo: boolean): Promise<Secret | undefined> => {
    const attempt = (asked.get(kind) ?? 0) + 1;
    asked.set(kind, attempt);
    if (kind === "challenge") login.memory.challenged = true;
    const known = kind === "password" && attempt === 1 ? login.memory.password : undefined;
    const question = { kind, host: login.name, text: `(${login.user}@${login.host}) ${text}`, echo, attempt };
    const answer = known ?? (await login.pause(async () => login.ask?.(question)));
    if (kind === "password") candidate = answer;
    return answer;
  };

  const answer = async (
    lead: string,
    prompts: readonly Prompt[],
    finish: KeyboardInteractiveCallback,
  ): Promise<void> => {
    const answers: string[] = [];
    for (const { prompt, echo = false } of prompts) {
      const isPassword = prompts.length === 1 && !echo && /password/i.test(prompt);
      const said = await ask(isPassword ? "password" : "challenge", isPassword ? prompt : `${lead}${prompt}`, echo);
      if (said === undefined) dead.add("keyboard-interactive");
      answers.push(said?.reveal() ?? "");
    }
    finish(answers);
  };

  return {
    canAnswer: (method: Method): boolean =>
      !dead.has(method) && (login.ask !== undefined || (login.memory.password !== undefined && !asked.has("password"))),
    /** Undefined: nobody answers. */
    async method(method: "keyboard-interactive" | "password"): Promise<AnyAuthMethod | undefined> {
      if (method === "keyboard-interactive") {
        return {
          type: method,
          username: login.user,
          prompt: (_name, instructions, _language, prompts, finish) =>
            void answer(instructions === "" ? "" : `${instructions.trim()} `, prompts, finish),
        };
      }
      const password = await ask("password", "Password: ", false);
      if (password !== undefined) return { type: method, username: login.user, password: password.reveal() };
      dead.add(method);
      return undefined;
    },
    remember(): void {
      login.memory.password = candidate ?? login.memory.password;
    },
  };
}

/** RSA keys sign with SHA-2; a server that does not say what it takes gets the strongest. */
function algorithmFor(type: string, rsaAlgorithms: readonly string[] | undefined, allowsSha1: boolean): string {
  if (type !== "ssh-rsa") return type;
  const [first = "rsa-sha2-512"] = ["rsa-sha2-512", "rsa-sha2-256"].filter(
    (name) => rsaAlgorithms?.includes(name) ?? true,
  );
  const knowsSha2 = rsaAlgorithms?.includes(first) ?? !allowsSha1;
  return allowsSha1 && !knowsSha2 ? type : first;
}

function hashOf(algorithm: string): Hash {
  if (algorithm === "rsa-sha2-512") return "sha512";
  return algorithm === "rsa-sha2-256" ? "sha256" : undefined;
}

/** 7.2 brought SHA-2 signatures of RSA keys. */
function isModernOpenSsh(version: string | undefined): boolean {
  const [, major = "0", minor = "0"] = /^OpenSSH_(\d+)\.(\d+)/.exec(version ?? "") ?? [];
  return Number(major) > 7 || (Number(major) === 7 && Number(minor) >= 2);
}
