/** Algorithms: what both sides have in common, and whether OpenSSH would come to the same end. Pure. */
import type { Algorithms } from "../../ssh/algorithms.ts";
import type { ServerOffer } from "../../ssh/greeting.ts";
import { about, certain, type Finding, here, sshdLine } from "../finding.ts";

const { ok, fail } = about("algorithms");

export interface AlgorithmsSeen {
  /** What the target is called. */
  readonly name: string;
  readonly ours: Algorithms;
  readonly theirs: ServerOffer;
}

export function judgeAlgorithms({ name, ours, theirs }: AlgorithmsSeen): Finding[] {
  const chosen = {
    kex: common(ours.kex, theirs.kex),
    serverHostKey: common(ours.serverHostKey, theirs.serverHostKey),
    cipher: common(ours.cipher, theirs.cipher),
    hmac: common(ours.hmac, theirs.hmac),
  };
  const missing = kinds.filter(({ of }) => {
    // Such a cipher brings its own.
    if (of === "hmac" && /gcm|poly1305/.test(chosen.cipher ?? "")) return false;
    return chosen[of] === undefined;
  });
  if (missing.length === 0) {
    const mac = /gcm|poly1305/.test(chosen.cipher ?? "") ? [] : [chosen.hmac];
    const words = [chosen.kex, chosen.serverHostKey, chosen.cipher, ...mac].join(", ");
    return [ok("algorithms", `both sides have ${words}`)];
  }
  return missing.map(({ of, check, says, option }) => {
    const old = theirs[of].find((word) => isPlain.test(word) && /sha1|cbc|md5|^ssh-(?:rsa|dss)$|arcfour/.test(word));
    return fail(`algorithms.${check}`, `no ${says} in common`, {
      evidence: [`we offer ${ours[of].join(", ")}`, `it offers ${theirs[of].join(", ")}`],
      cause: certain(
        old === undefined
          ? `${option} of the sshd_config allows only what this client does not have`
          : `the server offers only old ${says}s, which are switched off here`,
      ),
      fix:
        old === undefined
          ? sshdLine(`${option} +${standard[of]}`)
          : here(`printf 'Host ${name}\\n  ${option} +${old}\\n' >> ~/.ssh/config`),
    });
  });
}

/** The server's words become part of a command that people paste: nothing that a shell would heed. */
const isPlain = /^[A-Za-z0-9@._-]+$/;

const kinds = [
  { of: "kex", check: "kex", says: "key exchange", option: "KexAlgorithms" },
  { of: "serverHostKey", check: "host-key", says: "host key type", option: "HostKeyAlgorithms" },
  { of: "cipher", check: "cipher", says: "cipher", option: "Ciphers" },
  { of: "hmac", check: "mac", says: "MAC", option: "MACs" },
] as const;

const standard = {
  kex: "curve25519-sha256",
  serverHostKey: "ssh-ed25519",
  cipher: "aes128-gcm@openssh.com",
  hmac: "hmac-sha2-256-etm@openssh.com",
};

/** The client's first that the server has too. */
function common(ours: readonly string[], theirs: readonly string[]): string | undefined {
  return ours.find((name) => theirs.includes(name));
}
