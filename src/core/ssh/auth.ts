/**
 * Auth: logs in, trying what ssh would try in the order ssh would try it, with as few round trips as can be.
 * ssh2 keeps the state of the protocol; which request goes out next is decided here.
 */
import type { AnyAuthMethod, Client } from "ssh2";
import type { AmiError } from "../errors.ts";
import { createKeyOffers } from "./auth-keys.ts";
import { createQuestions } from "./auth-questions.ts";
import { type AuthReport, authError, wantsMore } from "./auth-report.ts";
import type { Identity } from "./identities.ts";
import { inside } from "./inside.ts";
import type { Login, Method } from "./login.ts";

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
  const questions = createQuestions(login, fail);
  const keys = createKeyOffers(login, report, { advance: () => advance(), fail });
  const counts = new Map<Method, number>();
  let proceed: ((method: AnyAuthMethod) => void) | undefined;
  /** Sent along with the service request, before ssh2 asked for it. */
  let early = false;
  let last: Attempt | undefined;
  let isKeyTaken = false;
  const sent = (attempt: Attempt): void => {
    last = attempt;
    login.watch?.auth?.({ ...attempt, is: "sent" });
  };

  const choose = (): Attempt | undefined => {
    const accepts = (method: Method): boolean => report.accepts?.includes(method) ?? true;
    const mayTry = (method: Method): boolean => method === "publickey" || !login.keyFirst || isKeyTaken;
    for (const method of login.methods.filter((each) => accepts(each) && mayTry(each))) {
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
      if (attempt.method === "none") {
        sent(attempt);
        return keys.inPlaceOfNone(undefined);
      }
      if (attempt.method === "publickey") {
        const send = await keys.prepare(attempt.identity);
        if (send === undefined) continue;
        sent(attempt);
        return keys.inPlaceOfNone(send);
      }
      counts.set(attempt.method, (counts.get(attempt.method) ?? 0) + 1);
      const method = await questions.method(attempt.method);
      if (method === undefined) continue;
      sent(attempt);
      return method;
    }
    return undefined;
  };

  const advance = (): void => {
    next()
      .then((method) => (method === undefined ? fail(authError(report)) : proceed?.(method)))
      .catch(fail);
  };

  return {
    handler(methodsLeft, partial, go) {
      proceed = go;
      if (Array.isArray(methodsLeft)) report.accepts = methodsLeft.filter((each) => typeof each === "string");
      if (last !== undefined && report.accepts !== undefined)
        login.watch?.auth?.({ ...last, is: partial === true ? "partial" : "refused", accepts: report.accepts });
      if (partial === true) {
        isKeyTaken ||= last?.method === "publickey";
        counts.clear(); // one factor is done, and the next may be of the same kind
        report.notes.push(`${[...report.tried].at(-1)} ${wantsMore}`);
      }
      if (!early) return advance();
      early = false;
      return go(keys.inPlaceOfNone(() => undefined));
    },
    takeOver(client) {
      const { _protocol: protocol } = inside(client);
      const { service } = protocol;
      keys.takeOver(client);
      protocol.service = (name) => {
        service.call(protocol, name);
        // Servers we know read a request that comes right behind: one round trip less.
        const first = isModernOpenSsh(inside(client)._remoteVer) ? choose() : undefined;
        if (first?.method !== "publickey" || first.identity.ready === undefined) return;
        report.tried.add(first.method);
        sent(first);
        early = keys.offer(first.identity, first.identity.ready);
      };
    },
    failed,
    error: (saying) => authError(report, saying),
    succeeded: () => questions.remember(),
  };
}

/** 7.2 brought SHA-2 signatures of RSA keys. */
function isModernOpenSsh(version: string | undefined): boolean {
  const [, major = "0", minor = "0"] = /^OpenSSH_(\d+)\.(\d+)/.exec(version ?? "") ?? [];
  return Number(major) > 7 || (Number(major) === 7 && Number(minor) >= 2);
}
