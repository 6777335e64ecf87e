/** Targets to hosts: who is opened once, who is who, and that nothing stays open. */
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { type OpenHosts, type OpenOptions, openHosts } from "../../src/core/hosts/open.ts";
import { Secret } from "../../src/core/secret.ts";
import { type Target, parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

needs(
  "sshd",
  "root",
  "useradd",
  "sudo",
)("opening targets", () => {
  let server: Sshd;
  let account: Account;
  const all: OpenHosts[] = [];
  beforeAll(async () => {
    server = await startSshd();
    account = await createAccount({ sudo: "password" });
  });
  afterEach(async () => {
    await Promise.all(all.splice(0).map((hosts) => hosts.close()));
    await vi.waitFor(async () => expect(await server.connections()).toHaveLength(0));
  });
  afterAll(async () => {
    await server.stop();
    await account.remove();
  });
  function open(options: Omit<OpenOptions, "ssh"> = {}): OpenHosts {
    const hosts = openHosts({ ssh: { configFile: server.configFile, env: {} }, ...options });
    all.push(hosts);
    return hosts;
  }
  const who = async (hosts: OpenHosts, target: Target, options = {}): Promise<string> => {
    const host = await hosts.open(target, options);
    return `${host.name} ${(await host.exec(["id", "-un"])).stdout.toString().trim()}`;
  };

  it("logs in once for all who open the same target, and calls a host as the user did", async () => {
    const hosts = open();
    const target = parseTarget("box");
    expect(await Promise.all([who(hosts, target), who(hosts, target), who(hosts, target)])).toEqual(
      Array.from({ length: 3 }, () => "box root"),
    );
    const named: Target = { kind: "ssh", name: "web1", host: "box", vars: {}, groups: [] };
    expect(await who(hosts, named)).toBe("web1 root");
    expect(await server.connections()).toHaveLength(1);
    expect(await who(hosts, parseTarget(`${account.name}@box`))).toBe(`${account.name}@box ${account.name}`);
    expect(await server.connections()).toHaveLength(2);
  });

  it("becomes who is asked for, by default or for one opening", async () => {
    const become = { user: "root", method: "sudo", password: new Secret(account.password) } as const;
    const target = parseTarget(`${account.name}@box`);
    const hosts = open({ become });
    expect(await who(hosts, target)).toBe(`${target.name} root`);
    expect(await who(hosts, target, { become: false })).toBe(`${target.name} ${account.name}`);
    expect(await who(hosts, target, { become: { ...become, user: "nobody" } })).toBe(`${target.name} nobody`);
    expect(await server.connections()).toHaveLength(1);
  });

  it("knows this machine", async () => {
    const hosts = open();
    const host = await hosts.open(parseTarget("local"));
    expect(host.name).toBe("local");
    expect(await hosts.open(parseTarget("local"))).toBe(host);
  });

  it("tries again what failed once", async () => {
    const other = await startSshd({ name: "later" });
    const { port } = other;
    await other.stop();
    const hosts = open();
    const target: Target = { kind: "ssh", name: "box", host: "box", port, vars: {}, groups: [] };
    await expect(hosts.open(target)).rejects.toMatchObject({ code: "ssh.connect", host: "box" });
    const again = await startSshd({ port });
    try {
      // Another machine at the same place: known by no key.
      await expect(hosts.open(target)).rejects.toMatchObject({ code: "hostkey.unknown" });
    } finally {
      await again.stop();
    }
  });

  it("close ends what runs, refuses what comes later, and may be called twice", async () => {
    const hosts = open();
    const host = await hosts.open(parseTarget("box"));
    const running = await host.spawn(["sleep", "1000"]);
    const ended = running.exit.catch((error: { code?: string }) => error.code);
    await Promise.all([hosts.close(), hosts.close()]);
    expect(await ended).toBe("run.cancelled");
    await expect(hosts.open(parseTarget("box"))).rejects.toMatchObject({ code: "host.spawn" });
  });

  it("an abort stops the opening", async () => {
    const hosts = open();
    await expect(hosts.open(parseTarget("box"), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "run.cancelled",
    });
  });
});
