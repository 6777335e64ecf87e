/** Match: the criteria of a Match line, and whether they hold. */
import { BlockList, isIP } from "node:net";
import { matchesHostList, matchPatternList } from "./patterns.ts";

export interface Criterion {
  readonly name: CriterionName;
  readonly negated: boolean;
  /** Empty for `all`, `final` and `canonical`. */
  readonly value: string;
}

const withValue = [
  "host",
  "originalhost",
  "user",
  "localuser",
  "localnetwork",
  "tagged",
  "command",
  "sessiontype",
  "version",
  "exec",
] as const;
const withoutValue = ["all", "final", "canonical"] as const;
type CriterionName = (typeof withValue)[number] | (typeof withoutValue)[number];

export function readCriteria(words: readonly string[]): { criteria: readonly Criterion[] } | { problem: string } {
  const criteria: Criterion[] = [];
  // `host=x`, `host = x` and `host x` are one thing.
  const rest = words.flatMap(splitAtEquals);
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const negated = word.startsWith("!");
    const text = (negated ? word.slice(1) : word).toLowerCase();
    const plain = withoutValue.find((name) => name === text);
    const name = plain ?? withValue.find((other) => other === text);
    if (name === undefined) return { problem: `${JSON.stringify(word)} is not a criterion` };
    if (name === "all" && (criteria.length > 1 || rest.length > 0)) return { problem: '"all" must stand alone' };
    const value = plain === undefined ? rest.shift() : "";
    if (value === undefined || (value === "" && plain === undefined && name !== "tagged" && name !== "command")) {
      return { problem: `${word} has no value` };
    }
    const network = name === "localnetwork" ? networksOf(value) : undefined;
    if (network !== undefined && "problem" in network) return network;
    criteria.push({ name, negated, value });
  }
  return criteria.length === 0 ? { problem: "has no criteria" } : { criteria };
}

function splitAtEquals(word: string, index: number): string[] {
  if (word === "=") return [];
  if (index > 0 && word.startsWith("=")) return [word.slice(1)];
  const equals = /^(!?[A-Za-z]+)=(.*)$/s.exec(word);
  const [, name, value] = equals ?? [];
  if (name === undefined || value === undefined) return [word];
  if (!withValue.some((other) => other === name.replace("!", "").toLowerCase())) return [word];
  return value === "" ? [name] : [name, value];
}

/** What a Match line can see. */
export interface MatchScope {
  /** HostName as far as it is known at this line. */
  readonly host: string;
  readonly originalHost: string;
  readonly user: string;
  readonly localUser: string;
  readonly tag: string;
  readonly finalPass: boolean;
  /** Addresses of this machine. */
  readonly addresses: () => readonly string[];
}

/** `ask-ssh`: all that we can tell holds, and the rest only ssh can tell. */
export function evaluateMatch(criteria: readonly Criterion[], scope: MatchScope): "yes" | "no" | "ask-ssh" {
  const answers = criteria.map((criterion) => {
    const holds = criterionHolds(criterion, scope);
    return holds === "ask-ssh" ? holds : holds !== criterion.negated;
  });
  if (answers.includes(false)) return "no";
  return answers.includes("ask-ssh") ? "ask-ssh" : "yes";
}

function criterionHolds({ name, value }: Criterion, scope: MatchScope): boolean | "ask-ssh" {
  switch (name) {
    case "all":
      return true;
    case "final":
    case "canonical":
      return scope.finalPass;
    case "host":
      return matchesHostList(scope.host, value);
    case "originalhost":
      return matchesHostList(scope.originalHost, value);
    case "user":
      return matchPatternList(scope.user, value) === "match";
    case "localuser":
      return matchPatternList(scope.localUser, value) === "match";
    case "tagged":
      return matchesOrBothEmpty(scope.tag, value);
    case "localnetwork":
      return isLocalNetwork(value, scope.addresses());
    // A connection serves many commands: judged as `ssh -G host` does it, as a login without a command.
    case "command":
      return matchesOrBothEmpty("", value);
    case "sessiontype":
      return matchPatternList("shell", value) === "match";
    case "exec":
    case "version":
      return "ask-ssh";
  }
}

function matchesOrBothEmpty(text: string, list: string): boolean {
  return text === "" ? list === "" : matchPatternList(text, list) === "match";
}

/** Any address inside any network, unless a `!network` holds it. */
function isLocalNetwork(list: string, addresses: readonly string[]): boolean {
  const networks = networksOf(list);
  if ("problem" in networks) return false;
  return addresses.some((address) => {
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    return networks.within.check(address, family) && !networks.except.check(address, family);
  });
}

function networksOf(list: string): { within: BlockList; except: BlockList } | { problem: string } {
  const within = new BlockList();
  const except = new BlockList();
  for (const item of list.split(",")) {
    const [, negation, address, bits] = /^(!?)([^/]+)(?:\/(\d{1,3}))?$/.exec(item) ?? [];
    const family = isIP(address ?? "");
    const prefix = bits === undefined ? (family === 6 ? 128 : 32) : Number(bits);
    if (address === undefined || family === 0 || prefix > (family === 6 ? 128 : 32)) {
      return { problem: `${JSON.stringify(item)} is not a network (10.0.0.0/8)` };
    }
    (negation === "!" ? except : within).addSubnet(address, prefix, family === 6 ? "ipv6" : "ipv4");
  }
  return { within, except };
}
