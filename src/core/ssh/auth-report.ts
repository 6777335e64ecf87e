/** Auth report: what a login tried, and the error for a person when nothing was accepted. */
import { AmiError } from "../errors.ts";
import { type Identity, describeIdentity } from "./identities.ts";

export interface AuthReport {
  readonly name: string;
  readonly user: string;
  readonly host: string;
  /** Methods, in the order tried. */
  readonly tried: Set<string>;
  readonly offered: Identity[];
  /** What the server said it accepts; undefined before it said so. */
  accepts: readonly string[] | undefined;
  /** What stood in the way, in words. */
  readonly notes: string[];
  /** Somebody could have been asked. */
  readonly canAsk: boolean;
}

/** Behind the method that was accepted. */
export const wantsMore = "was accepted, but the server wants more than that";

/** `saying`: the server's last words when it hung up. */
export function authError(report: AuthReport, saying?: string): AmiError {
  const { user, host, name } = report;
  const tried = [...report.tried].filter((method) => method !== "none");
  const keys = report.offered.map((identity) => `\n  offered ${describeIdentity(identity)}`).join("");
  const notes = report.notes.map((note) => `\n  ${note}`).join("");
  const message =
    `${user}@${host} did not let us in` +
    (saying === undefined ? "" : `: ${saying}`) +
    `\n  tried ${tried.length === 0 ? "nothing: there was neither a key nor a password to try" : tried.join(", ")}` +
    (report.accepts === undefined ? "" : `; the server accepts ${report.accepts.join(", ") || "nothing more"}`) +
    keys +
    notes;
  return new AmiError("ssh.auth", message, { host: name, hint: hintFor(report, saying), retry: "no" });
}

function hintFor(report: AuthReport, saying: string | undefined): string {
  const { accepts } = report;
  if (report.notes.some((note) => note.endsWith(wantsMore)) && !report.canAsk) {
    return "it wants a second factor: run this at a terminal, where you can be asked, or give a password with --ask-pass";
  }
  if (saying !== undefined && /too many/i.test(saying)) {
    return "the agent holds more keys than the server lets us try: name the right one (--identity FILE, or IdentityFile with IdentitiesOnly yes)";
  }
  if (report.notes.some((note) => /: it expired on /.test(note)))
    return "have the certificate made anew, where its authority is: ami-node ssh ca sign";
  const takesPassword = accepts?.some((method) => method === "password" || method === "keyboard-interactive") === true;
  if (takesPassword && !report.canAsk) return "give a key with --identity FILE, or a password with --ask-pass";
  if (accepts?.includes("publickey") === true && report.offered.length === 0) {
    return "name a key with --identity FILE, or make one: ami-node ssh key generate, then ami-node ssh key install";
  }
  if (accepts?.includes("publickey") === true) {
    return `add one of the keys to ~/.ssh/authorized_keys of ${report.user} there (ami-node ssh key install), or log in as another user`;
  }
  return `is ${report.user} the right user? Name another with user@host or User in the ssh config`;
}
