/** TCP, judged: a closed port, a firewall of either kind, a machine that is off, or a way that does not exist. Pure. */
import { about, certain, type Finding, here, likely, possible, there } from "../finding.ts";
import { type SignsOfLife, type TcpSeen, at } from "../observe/tcp.ts";

const { ok, warn, fail } = about("tcp");

/** Pure. `name`: how to call it on a command line, without a port. */
export function judgeTcp({ port, dialled, life }: TcpSeen, name: string): Finding[] {
  const evidence = [
    ...dialled.map(({ address, end, ms }) => `${at(address, port)}: ${words[end] ?? end} (${ms.toFixed(0)} ms)`),
    ...(life === undefined ? [] : lifeEvidence(life)),
  ];
  const ends = dialled.map(({ end }) => end);
  const open = dialled.find(({ end }) => end === "open");
  if (open !== undefined) {
    const silent = dialled.filter(({ end }) => end === "silent");
    if (silent.length === 0) return [ok("tcp", `${at(open.address, port)} can be connected to`, { evidence })];
    return [
      warn("tcp.some-silent", `${silent.map(({ address }) => address).join(", ")} does not answer, another does`, {
        evidence,
        cause: likely("that address of the name is old, or its network has no way to here (often IPv6)"),
        fix: here(`ssh -o AddressFamily=${open.address.includes(":") ? "inet6" : "inet"} ${name}`),
      }),
    ];
  }
  const address = dialled[0]?.address ?? name;
  const isAlive = life?.ping === "answered" || life?.ports.some(({ end }) => end === "open" || end === "ECONNREFUSED");
  const elsewhere = life?.ports.find(({ says }) => says.startsWith("SSH-"));
  if (ends.includes("ECONNREFUSED")) {
    if (elsewhere !== undefined) {
      return [
        fail("tcp.refused", `${at(address, port)} refuses connections, but an sshd answers on port ${elsewhere.port}`, {
          evidence,
          cause: likely(`sshd listens on port ${elsewhere.port}, and ${port} is the wrong one`),
          fix: here(`ami-node ssh diagnose ${name}:${elsewhere.port}`),
        }),
      ];
    }
    return [
      fail("tcp.refused", `${at(address, port)} refuses connections: nobody listens there`, {
        evidence,
        cause: likely("sshd is not running, or listens on another port"),
        fix: there("sudo systemctl enable --now ssh || sudo systemctl enable --now sshd"),
      }),
    ];
  }
  const openPort = there(`sudo iptables -I INPUT -p tcp --dport ${port} -j ACCEPT`);
  const unreachable = dialled.find(({ end }) => end === "EHOSTUNREACH" || end === "EACCES" || end === "EPERM");
  if (unreachable !== undefined) {
    // Nobody at home takes a second or more to find out; a firewall says it at once.
    if (isAlive === true || unreachable.ms < 500) {
      return [
        fail("tcp.rejected", `a firewall rejects connections to ${at(unreachable.address, port)}`, {
          evidence,
          cause: isAlive
            ? certain("the machine is there: it is no missing route, whatever ssh says, but a rule that rejects")
            : likely("the answer came at once: a firewall gives it, on the machine or on the way"),
          fix: openPort,
        }),
      ];
    }
    return [
      fail("tcp.no-machine", `nobody is at ${unreachable.address}`, {
        evidence,
        cause: likely("the machine is off, or has another address now"),
        fix: here(`ip neigh show ${unreachable.address}`),
      }),
    ];
  }
  if (ends.includes("ENETUNREACH") || ends.includes("EADDRNOTAVAIL")) {
    return [
      fail("tcp.no-route", `this machine has no way to ${address}`, {
        evidence,
        cause: likely("a VPN or network is not up here, or BindAddress names an address that is not ours"),
        fix: here(`ip route get ${address}`),
      }),
    ];
  }
  if (isAlive === true) {
    return [
      fail("tcp.dropped", `the machine is up, and port ${port} does not answer`, {
        evidence,
        cause: certain(`a firewall drops what goes to port ${port}: a closed port would have refused`),
        fix: openPort,
      }),
    ];
  }
  return [
    fail("tcp.silent", `${at(address, port)} does not answer, and neither does anything else there`, {
      evidence,
      cause: possible("the machine is off, the address is wrong, or a firewall drops everything"),
      fix: here(`traceroute -n ${address}`),
    }),
  ];
}

function lifeEvidence({ ping, ports }: SignsOfLife): string[] {
  const said = ports.map(
    ({ port, end, says }) => `port ${port}: ${words[end] ?? end}${says === "" ? "" : ` (${says})`}`,
  );
  return [...(ping === "unknown" ? [] : [`ping: ${ping}`]), `other ports: ${said.join(", ")}`];
}

const words: Readonly<Record<string, string>> = {
  open: "connected",
  silent: "no answer",
  ECONNREFUSED: "refused",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  ECONNRESET: "reset",
  EADDRNOTAVAIL: "not from the address asked for",
};
