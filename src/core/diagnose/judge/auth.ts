/** Auth: why a login is refused, key by key: what is wrong with it here, and what the server said to it. Pure. */
import { quote } from "../../argv.ts";
import type { AmiError } from "../../errors.ts";
import { type Identity, describeIdentity } from "../../ssh/identities.ts";
import type { KeyFile } from "../../ssh/keys.ts";
import type { TimedStep } from "../../ssh/rehearsal.ts";
import { about, certain, type Finding, here, likely, sshdLine, there } from "../finding.ts";
import { type InsideView, judgeRefusal } from "./refusal.ts";

const { ok, warn, fail } = about("auth");

export interface AuthSeen {
  /** What the target is called. */
  readonly name: string;
  readonly user: string;
  readonly host: string;
  /** Undefined: logged in. */
  readonly error: AmiError | undefined;
  /** What was tried last: what it was let in by. */
  readonly method: string;
  readonly steps: readonly TimedStep[];
  readonly banners: readonly string[];
  /** Those the config or the command line names, read here. */
  readonly files: readonly KeyFile[];
  readonly agent: AgentSeen;
  /** After the server hung up for too many keys: what it said to the others, in a login of their own each. */
  readonly others: readonly TimedStep[];
  /** The key that a login with nothing else but it was let in by. */
  readonly works: Identity | undefined;
  readonly kexMs: number | undefined;
  readonly ms: number;
  /** What somebody saw who was let in. */
  readonly inside: InsideView | { readonly error: string } | undefined;
}

export type AgentSeen =
  | { readonly state: "none" }
  | { readonly state: "answers"; readonly path: string; readonly keys: number }
  | { readonly state: "dead"; readonly path: string; readonly why: string };

export function judgeAuth(seen: AuthSeen): Finding[] {
  const said = evidence(seen);
  const around = [...agentTroubles(seen), ...slowness(seen)];
  if (seen.error === undefined) {
    const by = seen.steps.findLast(({ is }) => is === "sent");
    const key = by?.identity === undefined ? seen.method : describeIdentity(by.identity);
    return [...keyTroubles(seen, warn), ...around, ok("auth", `${seen.user} is let in by ${key}`, { evidence: said })];
  }
  const troubles = keyTroubles(seen, fail);
  // A key that could not even be offered is the first suspect; what was offered instead may have been refused as well.
  const isAll = troubles.length > 0 && offersOf(seen).length === 0;
  return [...troubles, ...(isAll ? [] : [judgeRefused(seen, seen.error, said)]), ...around];
}

function judgeRefused(seen: AuthSeen, error: AmiError, said: string[]): Finding {
  const { name, user, host, steps } = seen;
  if (/too many authentication failures/i.test(error.message)) return tooMany(seen, said);
  if (/did not answer in time/.test(error.message)) {
    return fail("auth.timeout", "the server takes too long to decide", {
      evidence: said,
      cause: likely("a slow DNS lookup of our address (UseDNS), or a directory (LDAP, SSSD) that does not answer"),
      fix: noDns,
    });
  }
  const last = steps.at(-1);
  if (last?.is === "sent" && last.method !== "none") return hungUp(seen, said);
  const accepts = steps.findLast((step) => step.accepts !== undefined)?.accepts;
  if (steps.some(({ is }) => is === "partial")) {
    return fail("auth.more-needed", "one way to log in was accepted, and the server wants a second one", {
      evidence: said,
      cause: certain(`AuthenticationMethods of the sshd_config asks for ${accepts?.join(" or ") ?? "more"} as well`),
      fix: here(`ami-node ssh diagnose ${name} --ask-pass`),
    });
  }
  if (
    steps.some(({ is, method }) => is === "refused" && (method === "password" || method === "keyboard-interactive"))
  ) {
    return fail("auth.password-refused", `the server refuses the password of ${user}@${host}`, {
      evidence: said,
      cause: likely("the password is wrong, or the account may not log in with one (PermitRootLogin, PAM)"),
      fix: there(`sudo passwd ${user}`),
    });
  }
  if (accepts !== undefined && !accepts.includes("publickey")) {
    return fail("auth.no-publickey", `the server takes no keys from ${user}, only ${accepts.join(", ") || "nothing"}`, {
      evidence: said,
      cause: certain("PubkeyAuthentication or AuthenticationMethods of the sshd_config say so"),
      fix: here(`ami-node ssh diagnose ${name} --ask-pass`),
    });
  }
  const offered = offersOf(seen);
  const [first] = offered;
  if (first === undefined) {
    return fail("auth.no-key", "there is no key to offer", {
      evidence: said,
      cause: certain("neither the agent nor the files of the config hold a usable key"),
      fix: here("ssh-keygen -t ed25519"),
    });
  }
  const { inside } = seen;
  if (inside !== undefined && "account" in inside) return judgeRefusal(inside, { user, offered, evidence: said });
  const many = offered.length === 1 ? "the key" : `all ${offered.length} keys`;
  return fail("auth.key-refused", `the server refuses ${many} of ${user}@${host}`, {
    evidence: [...said, ...fromOutside, ...(inside === undefined ? [] : [`nobody could look inside: ${inside.error}`])],
    cause: likely(`the public key is not in authorized_keys of ${user}`),
    fix: here(`ssh-copy-id ${first.from.startsWith("agent ") ? "" : `-i ${quote(first.from)} `}${quote(name)}`),
  });
}

const fromOutside = [
  "seen from outside these look the same: the key is not in authorized_keys; the account may not log in (AllowUsers, PermitRootLogin, expired); others may write to its home (StrictModes)",
  "name a login that works with --inside, to look from there",
];

const noDns = sshdLine("UseDNS no");

/** It took the key, and then closed: PAM has rules of its own, and says which before it does. */
function hungUp({ user, banners, error }: AuthSeen, said: string[]): Finding {
  const words = [...banners, error?.message ?? ""].join("\n");
  const expired = /\b(account|password)\b.{0,20}\bexpired/i.exec(words)?.[1]?.toLowerCase();
  if (expired !== undefined) {
    return fail(`auth.${expired}-expired`, `the ${expired} of ${user} has expired`, {
      evidence: said,
      cause: certain("the server says so after it took the key"),
      fix: there(expired === "account" ? `sudo chage -E -1 ${user}` : `sudo passwd ${user}`),
    });
  }
  return fail("auth.turned-away", `the server takes the key of ${user} and then hangs up`, {
    evidence: said,
    cause: likely("an account rule of PAM forbids it (expired, pam_access, /etc/nologin)"),
    fix: there(`sudo journalctl -u ssh -n 20; sudo chage -l ${user}`),
  });
}

function tooMany(seen: AuthSeen, all: string[]): Finding {
  const { works, name } = seen;
  const file = works === undefined || works.from.startsWith("agent ") ? undefined : works.from;
  return fail("auth.too-many-keys", "the server hangs up before the right key was offered: too many were tried", {
    evidence: [...all, ...(works === undefined ? [] : [`alone ${describeIdentity(works)} is let in`])],
    cause:
      works === undefined
        ? likely("the agent holds more keys than MaxAuthTries of the server lets us try, and none of them is right")
        : certain("the agent or config holds more keys than MaxAuthTries of the server lets us try"),
    fix: here(
      file === undefined
        ? `printf 'Host ${name}\\n  IdentitiesOnly yes\\n  IdentityFile ~/.ssh/id_ed25519\\n' >> ~/.ssh/config`
        : `printf 'Host ${name}\\n  IdentitiesOnly yes\\n  IdentityFile ${file}\\n' >> ~/.ssh/config`,
    ),
  });
}

/** What is wrong with key files on this side. */
function keyTroubles(seen: AuthSeen, say: typeof fail): Finding[] {
  const found: Finding[] = [];
  for (const file of seen.files) {
    if (file.state === "unusable" && /^\S.* has mode \d+/.test(file.why)) {
      found.push(
        say("auth.key-mode", `${file.path} was not offered: others may read it`, {
          evidence: [file.why],
          cause: certain("a private key that others may read is no secret; ssh refuses it too"),
          fix: here(`chmod 600 ${quote(file.path)}`),
          repair: { does: "chmod", path: file.path, mode: 0o600 },
        }),
      );
    } else if (file.state === "unusable") {
      found.push(say("auth.key-unreadable", `${file.path} cannot be used`, { evidence: [file.why] }));
    } else if (file.state === "locked" && seen.error !== undefined) {
      const wanted = seen.steps.some(({ is, identity }) => is === "wanted" && identity?.from === file.path);
      const refused = seen.steps.some(({ is, identity }) => is === "refused" && identity?.from === file.path);
      if (refused) continue;
      const fix =
        seen.agent.state === "answers"
          ? `ssh-add ${quote(file.path)}`
          : `eval "$(ssh-agent)"; ssh-add ${quote(file.path)}`;
      found.push(
        say("auth.key-encrypted", `${file.path} is encrypted, and nobody gave its passphrase`, {
          evidence: [
            wanted ? "the server would take this key" : "its public half is not known, so it could not be offered",
            agentWords(seen.agent),
          ],
          cause: wanted ? certain("the right key, locked") : likely("the right key may be locked"),
          fix: here(fix),
        }),
      );
    } else if (file.state === "public" && seen.error !== undefined && seen.agent.state !== "answers") {
      found.push(
        say("auth.agent-absent", `${file.path} is only a public key, and no agent holds its other half`, {
          evidence: [agentWords(seen.agent)],
          cause: certain("the agent that signs with this key does not run or is not reachable from here"),
          fix: here('eval "$(ssh-agent)"; ssh-add'),
        }),
      );
    }
  }
  return found;
}

function agentTroubles({ agent, files, error }: AuthSeen): Finding[] {
  if (agent.state === "dead") {
    return [
      warn("auth.agent-absent", `the agent at ${agent.path} does not answer`, {
        evidence: [agent.why],
        cause: likely("SSH_AUTH_SOCK or IdentityAgent is left over from an agent or a session that has ended"),
        fix: here('eval "$(ssh-agent)"; ssh-add'),
      }),
    ];
  }
  // Asked for a passphrase and given it: fine now, and tedious every day.
  const locked = files.find(({ state }) => state === "locked");
  return agent.state === "none" && locked !== undefined && error === undefined
    ? [
        warn("auth.agent-absent", `${locked.path} is encrypted, and there is no agent to hold it open`, {
          evidence: [agentWords(agent)],
          cause: certain("SSH_AUTH_SOCK is not set"),
          fix: here(`eval "$(ssh-agent)"; ssh-add ${quote(locked.path)}`),
        }),
      ]
    : [];
}

/** The first answer needs what the server looks up about us and the account; later ones do not. */
function slowness({ steps, kexMs, ms, error }: AuthSeen): Finding[] {
  const [sent, answered] = steps;
  const until = answered?.at ?? (error === undefined ? ms : undefined);
  const wait = sent === undefined || until === undefined ? 0 : until - sent.at;
  if (wait < slowAnswer || wait < 3 * (kexMs ?? 0)) return [];
  return [
    warn("auth.slow-server", `the server thinks for ${(wait / 1000).toFixed(1)} s before it judges the first key`, {
      evidence: [`key exchange took ${(kexMs ?? 0).toFixed(0)} ms, the first answer ${wait.toFixed(0)} ms`],
      cause: likely(
        "it looks up our address in a DNS that answers late (UseDNS yes), or the account in a slow directory",
      ),
      fix: noDns,
    }),
  ];
}

const slowAnswer = 1500;

function offersOf(seen: AuthSeen): Identity[] {
  const offered = [...seen.steps, ...seen.others].flatMap(({ is, identity }) =>
    is === "refused" && identity !== undefined ? [identity] : [],
  );
  return [...new Set(offered)];
}

function evidence(seen: AuthSeen): string[] {
  const accepts = seen.steps.find((step) => step.accepts !== undefined)?.accepts;
  const keys = [...seen.steps, ...seen.others].flatMap(({ is, identity, method }) =>
    is === "sent" ? [] : [`${identity === undefined ? method : describeIdentity(identity)}: ${is}`],
  );
  const missing = seen.files.filter(({ state }) => state === "missing").map(({ path }) => `${path} does not exist`);
  return [
    ...(accepts === undefined ? [] : [`the server accepts ${accepts.join(", ") || "nothing"}`]),
    ...keys,
    ...missing,
    agentWords(seen.agent),
    ...seen.banners.filter((text) => text.trim() !== "").map((text) => `the server says ${JSON.stringify(text)}`),
    ...(seen.error === undefined ? [] : [seen.error.message.split("\n")[0] ?? ""]),
  ];
}

function agentWords(agent: AgentSeen): string {
  switch (agent.state) {
    case "none":
      return "there is no agent (SSH_AUTH_SOCK is not set)";
    case "dead":
      return `the agent at ${agent.path} does not answer: ${agent.why}`;
    case "answers":
      return `the agent holds ${agent.keys} ${agent.keys === 1 ? "key" : "keys"}`;
  }
}
