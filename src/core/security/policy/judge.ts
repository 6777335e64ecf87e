/** Judge: what a policy says of a deed. Pure; commands are judged as the words they are, never as text. */
import { basename } from "node:path/posix";
import type { Deed } from "../../deed.ts";
import { matchesName } from "../../names.ts";
import type { Policy, Rule } from "./policy.ts";

export interface Circumstances {
  readonly verb: string;
  /** Whose programs the verb runs: see `Command.programs`. */
  readonly programs: "own" | "user";
  /** All the names the host goes by. */
  readonly names: readonly string[];
  readonly groups: readonly string[];
  readonly by: string;
  readonly login: string;
  readonly as?: string | undefined;
}

export type Verdict =
  /** `record`: the rule that asks for a recording of terminals. */
  | { readonly allowed: true; readonly record?: Rule | undefined }
  /** `blind`: it cannot be told what it runs, and the rule forbids some commands. No rule: nothing allows it. */
  | { readonly allowed: false; readonly rule?: Rule | undefined; readonly blind: boolean };

/** All of them must allow it: that of the machine cannot be overruled by the user's own, nor the other way round. */
export function judgeAll(policies: readonly Policy[], about: Circumstances, deed: Deed): Verdict {
  const verdicts = policies.map((policy) => judge(policy, about, deed));
  const refused = verdicts.find(({ allowed }) => !allowed);
  if (refused !== undefined) return refused;
  return { allowed: true, record: verdicts.flatMap((one) => (one.allowed ? (one.record ?? []) : []))[0] };
}

/** The first rule that allows or denies decides. */
function judge(policy: Policy, about: Circumstances, deed: Deed): Verdict {
  const inScope = policy.rules.filter((rule) => isAbout(rule, about));
  const record = inScope.find((rule) => rule.effect === "record" && speaksOf(rule, about, deed) !== "no");
  for (const rule of inScope) {
    if (rule.effect === "record") continue;
    const says = speaksOf(rule, about, deed);
    if (says !== "no") return rule.effect === "allow" ? { allowed: true, record } : refusal(rule, says === "maybe");
  }
  return policy.otherwise === "allow" ? { allowed: true, record } : { allowed: false, blind: false };
}

function refusal(rule: Rule, blind: boolean): Verdict {
  return { allowed: false, rule, blind };
}

function isAbout(rule: Rule, { verb, names, groups, by, login, as }: Circumstances): boolean {
  const isHost = (pattern: string): boolean =>
    pattern.startsWith("@")
      ? groups.some((group) => matchesName(group, pattern.slice(1)))
      : names.some((name) => matchesName(hostForm(name), hostForm(pattern)));
  return (
    (rule.hosts === undefined || holds(rule.hosts, isHost)) &&
    (rule.by === undefined || holds(rule.by, (pattern) => matchesName(by, pattern))) &&
    (rule.users === undefined || holds(rule.users, (pattern) => matchesName(as ?? login, pattern))) &&
    (rule.become === undefined || (as !== undefined && holds(rule.become, (pattern) => matchesName(as, pattern)))) &&
    (rule.verbs === undefined || holds(rule.verbs, (pattern) => isVerb(verb, pattern)))
  );
}

/** `WEB1.example.com.` is web1.example.com. */
function hostForm(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** One of them, and none of those behind `!`; nothing but those: everything else. */
function holds(patterns: readonly string[], matches: (pattern: string) => boolean): boolean {
  const without = patterns.filter((pattern) => pattern.startsWith("!"));
  if (without.some((pattern) => matches(pattern.slice(1)))) return false;
  return without.length === patterns.length || patterns.some((pattern) => !pattern.startsWith("!") && matches(pattern));
}

/** `ssh` stands for all verbs of the group. */
export function isVerb(verb: string, pattern: string): boolean {
  return matchesName(verb, pattern) || verb.startsWith(`${pattern} `);
}

/** `maybe`: it cannot be told what the deed comes to, and the rule forbids something. */
function speaksOf(rule: Rule, { programs }: Circumstances, deed: Deed): "yes" | "no" | "maybe" {
  const { commands, effect } = rule;
  if (commands === undefined) return "yes";
  if (deed.does === "open" || deed.does === "become") {
    // Whoever may do something there may come in for it; what is done then is judged by its own words.
    return effect === "allow" && programs === "user" ? "yes" : "no";
  }
  const argv = deed.argv ?? ["sh"];
  if (commands.some((words) => beginsWith(argv, words, effect === "allow"))) return "yes";
  return effect !== "allow" && runsOthers(argv[0] ?? "") ? "maybe" : "no";
}

/** `exactly`: a program is what was written, as any folder may hold one of that name; else its last name counts. */
function beginsWith(argv: readonly string[], words: readonly string[], exactly: boolean): boolean {
  const ends = words.at(-1) === "$";
  const wanted = ends ? words.slice(0, -1) : words;
  if (argv.length < wanted.length || (ends && argv.length > wanted.length)) return false;
  return wanted.every((pattern, index) => {
    const word = argv[index] ?? "";
    const isName = index === 0 && !exactly && !pattern.includes("/");
    return matchesName(isName ? basename(word) : word, pattern);
  });
}

/**
 * Shells and other programs that run what their words, their input or a person tells them to. No list of these can be
 * whole: this one is to keep honest people from going around a rule without noticing.
 */
function runsOthers(program: string): boolean {
  const name = basename(program);
  return carriers.has(name) || /^(?:python|perl|ruby|lua|php|node|tclsh|pypy)[\d.]*$/.test(name);
}

const carriers: ReadonlySet<string> = new Set(
  [
    "sh bash dash ash zsh ksh mksh fish csh tcsh busybox toybox rbash pwsh",
    "sudo su doas runuser pkexec setpriv chroot unshare nsenter env nohup nice ionice chrt taskset setsid timeout time",
    "stdbuf script watch xargs parallel find awk gawk mawk expect make at batch crontab systemd-run flock ssh strace gdb",
    "eval exec command builtin source . trap coproc",
    "docker podman nerdctl kubectl lxc tmux screen vi vim nvim emacs ed less more man bun deno",
  ].flatMap((line) => line.split(" ")),
);
