/**
 * Ssh hosts sit the Host exam: as root, and as a user with sudo whose login shell is as far from sh as they come. Other
 * login shells are in ssh.shell.test.ts.
 */
import { openHosts } from "../../src/core/hosts/open.ts";
import type { Host } from "../../src/core/host.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { type Examinee, hostExam } from "../contract/host.ts";
import { needs, where } from "../servers/engines.ts";
import { type AccountOptions, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

needs("sshd", "root")("ssh as root", () => {
  hostExam("ssh as root", async () => {
    const sshd = await startSshd();
    const { host, close } = await open(sshd);
    return { host, other: { user: "nobody" }, rc: ".bashrc", close: () => close().then(sshd.stop) };
  });
});

needs(
  "sshd",
  "root",
  "useradd",
  "sudo",
)("ssh as a user with sudo", () => {
  const shell = where("fish") ?? where("bash");
  hostExam(`ssh as a user whose shell is ${shell}`, () => account({ sudo: "free", shell }), {
    chown: "the user may not give files away",
  });
});

/** A new account on a new server; it becomes root by sudo. */
async function account(options: AccountOptions): Promise<Examinee> {
  const sshd = await startSshd();
  const who = await createAccount(options);
  const [user, root] = await Promise.all([open(sshd, who.name), open(sshd)]);
  return {
    host: user.host,
    witness: root.host,
    other: { user: "root", method: "sudo" },
    sudo: true,
    rc: options.shell?.endsWith("fish") === true ? ".config/fish/config.fish" : ".bashrc",
    async close() {
      await user.close();
      await root.close();
      await sshd.stop();
      await who.remove();
    },
  };
}

async function open(sshd: Sshd, user?: string): Promise<{ host: Host; close(): Promise<void> }> {
  const hosts = openHosts({ ssh: { configFile: sshd.configFile, env: {} } });
  const target = parseTarget(user === undefined ? sshd.name : `${user}@${sshd.name}`);
  return { host: await hosts.open(target), close: hosts.close };
}
