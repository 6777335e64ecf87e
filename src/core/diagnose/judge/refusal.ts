/** Refusal: why sshd turns a key away, as only somebody on the machine can tell. Pure. */
import { quote } from "../../argv.ts";
import type { Identity } from "../../ssh/identities.ts";
import { matchPatternList } from "../../ssh/config/patterns.ts";
import { about, certain, type Finding, likely, reloadSshd, sshdLine, there } from "../finding.ts";
import type { AccountView, PathMode } from "../observe/look.ts";

const { fail } = about("auth");

export interface InsideView {
  /** Who looked. */
  readonly from: string;
  readonly account: AccountView;
}

interface Refused {
  readonly user: string;
  readonly offered: readonly Identity[];
  readonly evidence: readonly string[];
}

export function judgeRefusal({ from, account }: InsideView, { user, offered, evidence }: Refused): Finding {
  const config = account.sshdConfig ?? "sshd_config";
  const seen = (...more: string[]): string[] => [...evidence, ...more.map((line) => `${from} sees: ${line}`)];
  const { passwd, sshd, shadow } = account;
  if (passwd === undefined) {
    return fail("auth.no-user", `there is no user ${user} there`, {
      evidence: seen(`no entry for ${user} in passwd`),
      cause: certain("a spelling mistake, or User in the ssh config is wrong"),
      fix: there(`sudo useradd -m ${user}`),
    });
  }
  const rule = sshd === undefined ? undefined : accessRule(user, account.groups, sshd);
  if (rule !== undefined) {
    return fail("auth.user-refused", `${user} may not log in: ${rule.says}`, {
      evidence: seen(`${config}: ${rule.line}`, `groups of ${user}: ${account.groups.join(" ")}`),
      cause: certain(`${rule.keyword} of the sshd_config decides before any key is looked at`),
      fix: there(rule.fix(config)),
    });
  }
  const rootRule = sshd?.get("permitrootlogin")?.[0];
  if (passwd.uid === 0 && (rootRule === "no" || rootRule === "forced-commands-only")) {
    return fail("auth.root-refused", "root may not log in", {
      evidence: seen(`${config}: PermitRootLogin ${rootRule}`),
      cause: certain("PermitRootLogin of the sshd_config forbids it"),
      fix: sshdLine("PermitRootLogin prohibit-password"),
    });
  }
  if (!account.shellExists) {
    return fail("auth.no-shell", `the login shell of ${user} does not exist`, {
      evidence: seen(`passwd names ${passwd.shell}`),
      cause: certain("sshd lets nobody in whose shell is missing"),
      fix: there(`sudo chsh -s /bin/sh ${user}`),
    });
  }
  if (shadow?.expires !== undefined && shadow.expires < account.today) {
    const day = new Date(shadow.expires * 86_400_000).toISOString().slice(0, 10);
    return fail("auth.account-expired", `the account ${user} has expired on ${day}`, {
      evidence: seen(`shadow: expires on day ${shadow.expires}, today is day ${account.today}`),
      cause: certain("sshd lets no expired account in, whatever its key"),
      fix: there(`sudo chage -E -1 ${user}`),
    });
  }
  if (shadow?.isLocked === true && sshd?.get("usepam")?.[0] === "no") {
    return fail("auth.account-locked", `the account ${user} is locked`, {
      evidence: seen("shadow: the password begins with !", `${config}: UsePAM no`),
      cause: certain("without PAM sshd takes a locked password for a locked account"),
      fix: there(`sudo usermod -p '*' ${user}`),
    });
  }
  if (!account.sees) {
    return fail("auth.key-refused", `the server refuses our keys, and ${from} may not look why`, {
      evidence: seen(`it is neither root nor ${user}, and sudo asks for a password`),
      cause: likely("the key is not in authorized_keys, or modes of the home are too open"),
      fix: there(`sudo ls -ld ~${user} ~${user}/.ssh ~${user}/.ssh/authorized_keys`),
    });
  }
  const [match] = account.matches;
  const [file = "~/.ssh/authorized_keys"] = account.keyFiles;
  if (match === undefined) {
    return fail("auth.wrong-key", `none of our keys is in authorized_keys of ${user}`, {
      evidence: seen(`${account.keyFiles.join(", ")} holds none of the ${offered.length} offered`),
      cause: certain("the key was never installed, or another one was"),
      fix: there(`echo '${publicLine(offered[0])}' | sudo tee -a ${file}`),
    });
  }
  const bad =
    sshd?.get("strictmodes")?.[0] === "no" ? undefined : account.paths.find((path) => isTooOpen(path, passwd.uid));
  if (bad !== undefined) {
    return fail("auth.strict-modes", `sshd ignores the key of ${user}: ${bad.path} can be written by others`, {
      evidence: seen(`${bad.path} is ${bad.mode}, of uid ${bad.uid}`, `the key is in ${match.file}:${match.line}`),
      cause: certain("StrictModes: a file that others can write proves nothing"),
      fix: there(`sudo chown ${user} ${quote(bad.path)}; sudo chmod go-w ${quote(bad.path)}`),
    });
  }
  return fail("auth.key-refused", `the server refuses a key that is in ${match.file}`, {
    evidence: seen(`${match.file}:${match.line} ${match.text.slice(0, 60)}`),
    cause: likely("an option before the key (from=, expiry-time=), SELinux labels, or PubkeyAcceptedAlgorithms"),
    fix: there("sudo restorecon -R ~/.ssh; sudo journalctl -u ssh -n 20"),
  });
}

function accessRule(user: string, groups: readonly string[], sshd: ReadonlyMap<string, readonly string[]>) {
  const values = (keyword: string): readonly string[] => sshd.get(keyword) ?? [];
  // A host part of the pattern is not looked at: that the user is named at all is most of the answer.
  const names = (list: readonly string[]): boolean =>
    list.some((pattern) => matchPatternList(user, pattern.split("@")[0] ?? "") === "match");
  const inGroups = (list: readonly string[]): boolean =>
    list.some((pattern) => groups.some((group) => matchPatternList(group, pattern) === "match"));
  const rules = [
    { keyword: "DenyUsers", hit: names(values("denyusers")), says: `DenyUsers names ${user}` },
    {
      keyword: "AllowUsers",
      hit: values("allowusers").length > 0 && !names(values("allowusers")),
      says: "AllowUsers names others only",
    },
    { keyword: "DenyGroups", hit: inGroups(values("denygroups")), says: "DenyGroups names a group of it" },
    {
      keyword: "AllowGroups",
      hit: values("allowgroups").length > 0 && !inGroups(values("allowgroups")),
      says: "AllowGroups names none of its groups",
    },
  ];
  const rule = rules.find(({ hit }) => hit);
  if (rule === undefined) return undefined;
  const { keyword, says } = rule;
  const fix = (config: string): string => {
    const file = config.startsWith("/") ? config : "/etc/ssh/sshd_config";
    return keyword === "AllowUsers"
      ? `sudo sed -i 's/^AllowUsers .*/& ${user}/I' ${file} && ${reloadSshd}`
      : keyword === "AllowGroups"
        ? `sudo usermod -aG ${values("allowgroups")[0]} ${user}`
        : `sudoedit ${file}`;
  };
  return { keyword, says, line: `${keyword} ${values(keyword.toLowerCase()).join(" ")}`, fix };
}

/** Others than root and the owner can write there. */
export function isTooOpen({ mode, uid }: PathMode, owner: number): boolean {
  return mode[5] === "w" || mode[8] === "w" || (uid !== owner && uid !== 0);
}

function publicLine(identity: Identity | undefined): string {
  const key = identity?.public;
  return key === undefined ? "KEY" : `${key.type} ${key.blob.toString("base64")}`;
}
