/**
 * Other users sit the Host exam: by su from root, by sudo with a password, and by doas through a terminal. And what
 * each says when it refuses.
 */
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { hostExam } from "../contract/host.ts";
import { needs } from "../servers/engines.ts";
import { type Account, type AccountOptions, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";
import type { BecomeOptions, Host } from "../../src/core/host.ts";
import { shellLine } from "../../src/core/argv.ts";
import { localHost } from "../../src/core/hosts/local.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { Secret } from "../../src/core/secret.ts";
import { parseTarget } from "../../src/core/targets.ts";

const noGiving = "only root may give files away";
const every = "each start checks a password, which takes its time on purpose";
const tooMany = "takes more programs at once than a test should start";

needs(
  "root",
  "su",
  "useradd",
)("become another local user", () => {
  hostExam(
    "another local user, by su from root",
    async () => {
      const account = await createAccount({ sudo: "free" });
      const local = localHost();
      const close = (): Promise<void> => local.close().then(account.remove);
      return {
        host: local.as(account.name),
        witness: local,
        sudo: true,
        other: { user: "root", method: "sudo" },
        close,
      };
    },
    { limits: tooMany, chown: noGiving },
  );

  it("is no change for oneself", async () => {
    const local = localHost();
    const { stdout } = await local.as("root").exec(["sh", "-c", "ps -o args= -p $PPID"]);
    expect(stdout.toString()).toContain("node");
    await local.close();
  });

  it("refuses names that could be options", () => {
    expect(() => localHost().as("-s")).toThrow(/no user name/);
  });
});

needs(
  "root",
  "sshd",
  "sudo",
  "useradd",
)("become root with sudo and a password", () => {
  hostExam("root, by sudo with a password", () => login({ sudo: "password" }, { method: "sudo" }), { every });
});

needs(
  "root",
  "sshd",
  "doas",
  "useradd",
)("become root with doas and a password", () => {
  hostExam("root, by doas with a password", () => login({ doas: "password" }, { method: "doas" }), { every });
});

needs(
  "root",
  "sshd",
  "sudo",
  "su",
  "doas",
  "useradd",
)("become", () => {
  const accounts: Account[] = [];
  let sshd: Sshd;
  let hosts: OpenHosts;
  beforeAll(async () => {
    sshd = await startSshd();
    hosts = openHosts({ ssh: { configFile: sshd.configFile, env: {} } });
  });
  afterAll(async () => {
    await hosts.close();
    await sshd.stop();
    for (const account of accounts) await account.remove();
  });
  const open = async (options: AccountOptions): Promise<{ host: Host; account: Account }> => {
    const account = await createAccount(options);
    accounts.push(account);
    return { host: await hosts.open(parseTarget(`${account.name}@${sshd.name}`)), account };
  };
  /** What `cat` gives as another user, or the error. */
  const tryAs = async (host: Host, user: string, options: BecomeOptions): Promise<string> => {
    try {
      const { stdout, stderr } = await host
        .as(user, options)
        .exec(["sh", "-c", "id -un; cat"], { stdin: "my input\n" });
      return stdout.toString() + stderr.toString();
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      return `${code}: ${message}`;
    }
  };

  it("with a password where none is asked leaves the password out of stdin", async () => {
    const { host, account } = await open({ sudo: "free", doas: "free" });
    const password = new Secret(account.password);
    expect(await tryAs(host, "root", { method: "sudo", password })).toBe("root\nmy input\n");
    expect(await tryAs(host, "root", { method: "doas", password })).toBe("root\nmy input\n");
  });

  it("with the right password works for sudo, su and doas, again and again", async () => {
    const { host, account } = await open({ sudo: "password", doas: "password" });
    const { account: friend } = await open({});
    const password = new Secret(account.password);
    for (let round = 0; round < 2; round++) {
      expect(await tryAs(host, "root", { method: "sudo", password })).toBe("root\nmy input\n");
      expect(await tryAs(host, "root", { method: "doas", password })).toBe("root\nmy input\n");
      expect(await tryAs(host, friend.name, { method: "sudo", password })).toBe(`${friend.name}\nmy input\n`);
      const theirs = new Secret(friend.password);
      expect(await tryAs(host, friend.name, { method: "su", password: theirs })).toBe(`${friend.name}\nmy input\n`);
    }
  });

  it("gives no password to words of an rc file that look like a question", async () => {
    for (const rules of ["free", "password"] as const) {
      const { host, account } = await open({ sudo: rules, doas: rules });
      await writeFile(join(account.home, ".bashrc"), 'printf "any words: " >&2\n');
      const password = new Secret(account.password);
      for (const method of ["sudo", "doas"] as const)
        expect(await tryAs(host, "root", { method, password })).toMatch(/^root\nmy input\n(any words: )*$/);
    }
  });

  it("with a wrong password is refused at once and says what was wrong", async () => {
    const { host, account } = await open({ sudo: "password", doas: "password" });
    const { account: friend } = await open({});
    const password = new Secret("wrong");
    // sudo counts what it refused.
    const log = join(account.home, "sudo.log");
    await appendFile(`/etc/sudoers.d/${account.name}`, `Defaults:${account.name} logfile=${log}, !log_year\n`);
    expect(await tryAs(host, "root", { method: "sudo", password })).toBe(
      "host.become: sudo did not let us become root: the password was not accepted",
    );
    expect(await tryAs(host, "root", { method: "doas", password })).toMatch(
      /^host.become: doas did not let us become root: doas: Authentication failed$/,
    );
    expect(await tryAs(host, friend.name, { method: "su", password })).toMatch(
      /^host.become: su did not let us become .*: (su: Authentication failure|the password was not accepted)$/,
    );
    // One wrong answer, not three: accounts get locked for less.
    await vi.waitFor(async () => {
      const said = (await readFile(log, "utf8")).replaceAll(/\s+/g, " ");
      expect(said).toContain("1 incorrect password attempt ;");
    }, 10_000);
    expect(sshd.log()).not.toContain(account.password);
  });

  it("without a password where one is needed is refused, never asked and never hangs", async () => {
    const { host } = await open({ sudo: "password", doas: "password" });
    expect(await tryAs(host, "root", { method: "sudo" })).toMatch(/^host.become: .*sudo: a password is required/);
    expect(await tryAs(host, "root", { method: "doas" })).toMatch(/^host.become: .*Authentication required/);
    expect(await tryAs(host, "root", { method: "su" })).toMatch(/^host.become: .*a password is needed/);
  });

  it("without a rule is refused in the words of the program", async () => {
    const { host, account } = await open({});
    const password = new Secret(account.password);
    expect(await tryAs(host, "root", { method: "sudo", password })).toMatch(
      /^host.become: .*not in the sudoers file|^host.become: .*may not run sudo/,
    );
    expect(await tryAs(host, "root", { method: "doas", password })).toMatch(/^host.become: .*Operation not permitted/);
  });

  it("tells which of two switches was refused", async () => {
    const { host, account } = await open({ sudo: "free" });
    const nested = host.as(account.name, { method: "su", password: new Secret("wrong") });
    expect(await tryAs(nested, "root", { method: "sudo" })).toBe("root\nmy input\n"); // oneself: nothing to switch
    expect(await tryAs(host.as("nobody", { method: "sudo" }), "root", { method: "sudo" })).toMatch(/become root/);
    expect(await tryAs(host.as("no-such-user", { method: "sudo" }), "root", { method: "sudo" })).toMatch(
      /become no-such-user/,
    );
  });

  it("a shell line runs as a user whose login shell only says no", async () => {
    const { host } = await open({ sudo: "free" });
    const nobody = host.as("nobody", { method: "sudo" });
    expect((await nobody.exec(["sh", "-c", 'echo "$SHELL"'])).stdout.toString()).toMatch(/nologin|false/);
    expect((await nobody.exec(shellLine("id -un | cat"))).stdout.toString()).toBe("nobody\n");
  });

  it("leaves no password in any process list while it is asked for", async () => {
    const { host, account } = await open({ doas: "password", sudo: "password" });
    const password = new Secret(account.password);
    for (const method of ["sudo", "doas"] as const) {
      const seen: string[] = [];
      let isDone = false;
      const watch = (async () => {
        while (!isDone) seen.push((await localHost().exec(["ps", "-A", "-ww", "-o", "args"])).stdout.toString());
      })();
      expect(await tryAs(host, "root", { method, password })).toBe("root\nmy input\n");
      isDone = true;
      await watch;
      expect(seen.join("")).not.toContain(account.password);
    }
  });
});

/** A new account on a new server, become root with its password. */
async function login(rules: AccountOptions, how: BecomeOptions): Promise<import("../contract/host.ts").Examinee> {
  const sshd = await startSshd();
  const account = await createAccount(rules);
  const hosts = openHosts({ ssh: { configFile: sshd.configFile, env: {} } });
  const original = await hosts.open(parseTarget(`${account.name}@${sshd.name}`));
  const host = original.as("root", { ...how, password: new Secret(account.password) });
  return {
    host,
    witness: localHost(),
    other: { user: "nobody" },
    async close() {
      await hosts.close();
      await sshd.stop();
      await account.remove();
    },
  };
}
