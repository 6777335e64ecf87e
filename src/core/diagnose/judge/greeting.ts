/** Greeting: is it an sshd that answers, what does it offer, and do large packets reach it? Pure. */
import { quote } from "../../argv.ts";
import type { Probe } from "../../ssh/probe.ts";
import { about, certain, type Finding, here, likely, possible, sshdLine, there } from "../finding.ts";

export interface GreetingSeen {
  /** `host:port`. */
  readonly at: string;
  /** One probe; more when the first was turned away or lost its large packet. */
  readonly probes: readonly Probe[];
  /** The ProxyCommand, and what it said on stderr. */
  readonly proxy?: { readonly command: string; readonly said: string } | undefined;
}

export function judgeBanner({ at, probes, proxy }: GreetingSeen): Finding[] {
  const { ok, warn, fail } = about("banner");
  const [first] = probes;
  if (first === undefined) return [];
  const answered = probes.find(({ greeting }) => greeting.version !== undefined);
  const evidence = probes.map(describe);
  if (answered === undefined) {
    if (proxy !== undefined) return [judgeProxy(proxy, evidence)];
    return [judgeStranger(first, at, evidence)];
  }
  if (first.greeting.version === undefined) {
    return [
      warn("banner.crowded", `${at} turns some connections away and takes others`, {
        evidence,
        cause: likely("more people log in at once than MaxStartups of the sshd_config allows"),
        fix: moreStartups,
      }),
    ];
  }
  const version = first.greeting.version;
  if (/^SSH-1\.(?!99)/.test(version)) {
    return [
      fail("banner.version-1", `${at} speaks only version 1 of the protocol`, {
        evidence,
        cause: certain("the server is older than the year 2001's standard; version 1 is broken"),
        fix: there("sudo apt-get install --only-upgrade openssh-server"),
      }),
    ];
  }
  return [ok("banner", `${version.replace(/^SSH-[\d.]+-/, "")} answers`, { evidence })];
}

function judgeProxy({ command, said }: NonNullable<GreetingSeen["proxy"]>, evidence: string[]): Finding {
  const words = said.trim();
  return about("banner").fail("banner.proxy", "the ProxyCommand does not lead to an sshd", {
    evidence: [...evidence, command, words === "" ? "it says nothing" : `it says ${JSON.stringify(words)}`],
    cause: likely("the program is missing, or what it connects to refuses it; run by hand it has to print SSH-2.0"),
    fix: here(`sh -c ${quote(command)}`),
  });
}

function judgeStranger(probe: Probe, place: string, evidence: string[]): Finding {
  const { fail } = about("banner");
  const { text } = probe.greeting;
  if (/exceeded|not allowed at this time|too many/i.test(text)) {
    return fail("banner.crowded", `${place} turns us away: ${text}`, {
      evidence,
      cause: /not allowed/i.test(text)
        ? likely("PerSourcePenalties: too many failed logins came from this address a moment ago")
        : certain("more logins are under way than MaxStartups of the sshd_config allows"),
      fix: moreStartups,
    });
  }
  if (probe.first.length > 0) {
    const first = probe.first.toString("latin1");
    const what = strangers.find(({ says }) => says.test(first))?.is ?? "something else";
    return fail("banner.not-ssh", `${place} does not speak ssh: it is ${what}`, {
      evidence: [...evidence, `first bytes: ${JSON.stringify(first.slice(0, 60))}`],
      cause: certain("the port belongs to another service; sshd has another port"),
      fix: there("sudo ss -ltnp | grep sshd"),
    });
  }
  if (probe.end === "silent") {
    return fail("banner.silent", `${place} takes connections and says nothing`, {
      evidence,
      cause: possible(
        "a port forwarder without a service behind it, a service that waits for us to speak, or an sshd that hangs",
      ),
      fix: there("sudo ss -ltnp; sudo systemctl restart ssh"),
    });
  }
  return fail("banner.closed", `${place} takes connections and closes them without a word`, {
    evidence,
    cause: possible("MaxStartups, fail2ban or tcp wrappers turn us away; or no ssh server is behind the port"),
    fix: there("sudo journalctl -u ssh -n 20"),
  });
}

const moreStartups = sshdLine("MaxStartups 100:30:200");

const strangers = [
  { says: /^HTTP\/|^<(?:!doctype|html)/i, is: "a web server" },
  { says: /^\x15\x03|^\x16\x03/, is: "a TLS service (https?)" },
  { says: /^220[ -].*(?:smtp|mail|esmtp)/i, is: "a mail server" },
  { says: /^220[ -]/, is: "an FTP or mail server" },
  { says: /^\* OK/, is: "an IMAP server" },
  { says: /^\+OK/, is: "a POP3 server" },
  { says: /^RFB \d/, is: "a VNC server" },
  { says: /^-ERR/, is: "a Redis server" },
  { says: /^.{4}\x0a[\d.]+/s, is: "a MySQL server" },
];

export function judgeOffer({ at, probes }: GreetingSeen): Finding[] {
  const { ok, warn, fail } = about("offer");
  const [first] = probes.filter(({ greeting }) => greeting.version !== undefined);
  if (first === undefined) return [];
  const { offer } = first.greeting;
  if (offer === undefined) {
    return [
      fail("offer.none", `${at} says its version and then ${first.end === "closed" ? "closes" : "nothing"}`, {
        evidence: probes.map(describe),
        cause: possible("the server is overloaded or cannot read its host keys, or a firewall looks into the stream"),
        fix: there("sudo sshd -t; sudo journalctl -u ssh -n 20"),
      }),
    ];
  }
  const evidence = [
    `offer after ${ms(first.offerMs)}${first.strictKex ? ", strict key exchange" : ""}`,
    `host keys: ${offer.serverHostKey.join(", ")}`,
  ];
  const lost = probes.filter(({ large }) => large === "lost");
  if (lost.length > 0 && lost.length === probes.length) {
    return [
      fail("offer.large-packets-lost", `large packets do not reach ${at}: small ones are answered, 4 KiB are not`, {
        evidence: [...evidence, ...probes.map(describe)],
        cause: likely(
          "a part of the way has a smaller MTU (VPN, PPPoE, tunnel) and the ICMP that would tell us is filtered",
        ),
        fix: here("sudo sysctl -w net.ipv4.tcp_mtu_probing=1"),
      }),
    ];
  }
  const large = first.large === "passed" ? [`4 KiB at once are answered after ${ms(first.largeMs)}`] : [];
  const said = [...evidence, ...large];
  const isSafe = first.strictKex || first.greeting.version?.startsWith("SSH-2.0-OpenSSH_") !== true;
  return [
    ok("offer", `it offers key exchange${large.length === 0 ? "" : ", and large packets arrive"}`, { evidence: said }),
    ...(isSafe
      ? []
      : [
          warn("offer.no-strict-kex", "the server lacks strict key exchange (Terrapin, CVE-2023-48795)", {
            evidence,
            cause: certain("its OpenSSH is older than 9.6 or was not patched"),
            fix: there("sudo apt-get install --only-upgrade openssh-server"),
          }),
        ]),
  ];
}

function describe(probe: Probe): string {
  const { version, text } = probe.greeting;
  if (version === undefined) {
    const how = { closed: "closed", silent: "silent", offer: "" }[probe.end];
    return `${how}${text === "" ? "" : ` after saying ${JSON.stringify(text)}`}`;
  }
  const large = { passed: "large packet answered", lost: "small packet answered, large one not", unknown: "" };
  return [`${version} after ${ms(probe.bannerMs)}`, large[probe.large]].filter((part) => part !== "").join(", ");
}

function ms(value: number | undefined): string {
  return `${(value ?? 0).toFixed(0)} ms`;
}
