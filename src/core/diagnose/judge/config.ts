/** Config, judged: who is to log in where, and what the ssh config asks for that we lack. Pure. */
import type { SshConfig } from "../../ssh/config/ssh-config.ts";
import { about, type Finding } from "../finding.ts";
import { at } from "../observe/tcp.ts";

export function judgeConfig({ user, hostName, port, source, unsupported }: SshConfig): Finding {
  return about("config").ok("config", `${user} at ${at(hostName, port)}`, {
    evidence: [
      `read by ${source === "own" ? "our own parser" : source}`,
      ...unsupported.map(({ option, value, file, line }) => `${file}:${line} ${option} ${value}: not supported here`),
    ],
  });
}
