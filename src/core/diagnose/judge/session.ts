/** Session, judged: what does not work for a user who is let in. Pure. */
import { Buffer } from "node:buffer";
import { about, certain, type Finding, likely, reloadSshd, sshdLine, there } from "../finding.ts";
import type { SessionSeen } from "../observe/session.ts";

const { ok, warn, fail, skipped } = about("session");

/** Undefined: it came to no end. */
export function judgeSession(seen: SessionSeen | undefined): Finding[] {
  if (seen === undefined) return [stalled];
  return [judgeRun(seen), judgeSftp(seen), judgePty(seen), judgeForwarding(seen), judgeChannels(seen)];
}

const stalled = fail("session.stalled", "the server lets us in, and then nothing moves any more", {
  cause: likely("packets are lost once more than a few travel, or the server is out of memory or processes"),
  fix: there("uptime; free -m"),
});

function judgeRun({ run, user, sftp }: SessionSeen): Finding {
  const works = "state" in sftp && sftp.state === "answered";
  if (run.state === "refused") {
    return fail("session.refused", "the server lets us in and starts nothing", {
      evidence: [run.why],
      cause: likely("MaxSessions 0, or an account that may only forward"),
      fix: there("sudo sshd -T | grep -i 'maxsessions\\|forcecommand'"),
    });
  }
  if (run.state === "lost") {
    const said = `${run.stdout}${run.stderr}`.trim();
    const evidence = [
      `exit ${run.exit ?? "unknown"}`,
      ...(said === "" ? [] : [`it says ${JSON.stringify(said.slice(0, 200))}`]),
    ];
    if (/not available|nologin/i.test(said)) {
      return fail("session.nologin", `the login shell of ${user} is one that lets nobody in`, {
        evidence,
        cause: certain("the account has nologin for a shell: it is meant for a service, or was closed"),
        fix: there(`sudo chsh -s /bin/sh ${user}`),
      });
    }
    if (works && /sftp/i.test(said)) {
      return warn("session.sftp-only", `${user} may use sftp and nothing else`, {
        evidence,
        cause: certain("ForceCommand internal-sftp of the sshd_config"),
      });
    }
    return fail("session.no-commands", "what we run there does not run", {
      evidence,
      cause: likely("a ForceCommand, a command= in authorized_keys, or a login script that ends or hangs the shell"),
      fix: there("sudo sshd -T | grep -i forcecommand; grep -n command= ~/.ssh/authorized_keys"),
    });
  }
  const noise = run.before === "" ? run.after : run.before;
  if (noise === "") return ok("session.run", "programs run, and nothing else is printed");
  const first = Buffer.from(noise, "latin1").subarray(0, 4);
  const number = first.length === 4 ? first.readUInt32BE(0) : undefined;
  return warn(
    "session.noise",
    `the login scripts of ${user} print on stdout: ${JSON.stringify(noise.trim().slice(0, 60))}`,
    {
      evidence: [
        `before a program's own output: ${JSON.stringify(noise.slice(0, 200))}`,
        ...(number === undefined
          ? []
          : [
              `sftp and scp take its first bytes ${JSON.stringify(first.toString("latin1"))} for the length ${number}: "Received message too long ${number}"`,
            ]),
      ],
      cause: certain("~/.bashrc, ~/.cshrc, ~/.zshenv or /etc/bash.bashrc echoes for shells nobody sits at"),
      fix: there(`sed -i '1i [ -t 1 ] || return 0' ~/.bashrc`),
    },
  );
}

function judgeSftp({ sftp }: SessionSeen): Finding {
  if (!("state" in sftp)) return skipped("session.sftp", `sftp could not be tried: ${sftp.error}`);
  const { state, first, exit, said } = sftp;
  if (state === "answered" && first.readUInt32BE(0) < 64 * 1024 && first[4] === 2)
    return ok("session.sftp", "sftp answers");
  if (state === "answered") {
    const number = first.readUInt32BE(0);
    return warn(
      "session.sftp-noise",
      `in place of sftp comes text: ${JSON.stringify(first.toString("latin1").slice(0, 60))}`,
      {
        evidence: [`its first four bytes are the length ${number} to sftp: "Received message too long ${number}"`],
        cause: certain("login scripts print on stdout before the sftp program starts"),
        fix: there(`sed -i '1i [ -t 1 ] || return 0' ~/.bashrc`),
      },
    );
  }
  const evidence = [
    state === "refused"
      ? "the server refuses the subsystem"
      : `it started and ${state === "silent" ? "said nothing" : "ended"}`,
    ...(exit === undefined ? [] : [`exit ${exit}`]),
    ...(said.trim() === "" ? [] : [`it says ${JSON.stringify(said.trim())}`]),
  ];
  return warn(
    "session.no-sftp",
    "there is no sftp; programs run, so files go by other means (ami-node does so by itself)",
    {
      evidence,
      cause: certain(
        state === "refused"
          ? "the sshd_config has no line Subsystem sftp"
          : "the program that Subsystem sftp of the sshd_config names is missing or fails",
      ),
      // A second line of that name would be an error.
      fix:
        state === "refused"
          ? sshdLine("Subsystem sftp internal-sftp")
          : there(
              `sudo sed -i 's|^Subsystem.*sftp.*|Subsystem sftp internal-sftp|I' /etc/ssh/sshd_config && ${reloadSshd}`,
            ),
    },
  );
}

function judgePty({ ptyRefused }: SessionSeen): Finding {
  if (ptyRefused === undefined) return ok("session.pty", "a terminal is given");
  return warn("session.no-pty", "the server gives no terminal: programs run, ssh connect does not", {
    evidence: [ptyRefused],
    cause: likely("PermitTTY no in the sshd_config, or no-pty (restrict) before the key in authorized_keys"),
    fix: there("grep -n 'no-pty\\|restrict' ~/.ssh/authorized_keys; sudo sshd -T | grep -i permittty"),
  });
}

function judgeForwarding({ forwarding }: SessionSeen): Finding {
  if (forwarding === "unknown") return skipped("session.forwarding", "forwarding could not be tried");
  if (forwarding !== "prohibited") return ok("session.forwarding", "connections are forwarded");
  return warn("session.no-forwarding", "the server forwards no connections: no tunnels, and it cannot be a jump host", {
    evidence: ['open failed: administratively prohibited ("stdio forwarding failed" to ssh -W)'],
    cause: likely("AllowTcpForwarding no in the sshd_config, or no-port-forwarding (restrict) before the key"),
    fix: sshdLine("AllowTcpForwarding yes"),
  });
}

function judgeChannels({ channels: { asked, opened } }: SessionSeen): Finding {
  const evidence = [`${opened} of ${asked} sessions at once`];
  if (opened > fewSessions) return ok("session.channels", `${opened} sessions fit on one connection`, { evidence });
  return warn("session.max-sessions", `only ${opened} session${opened === 1 ? " fits" : "s fit"} on one connection`, {
    evidence,
    cause: certain(
      `MaxSessions ${opened} of the sshd_config; ssh with ControlMaster makes new connections without a word`,
    ),
    fix: sshdLine("MaxSessions 10"),
  });
}

/** So few that working in parallel needs many logins. */
const fewSessions = 3;
