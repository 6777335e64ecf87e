/** ssh key rotate on real servers, with failures at every step: nobody is ever locked out, and a second run ends it. */
import { chown, copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { command as rotate } from "../../src/commands/ssh/key/rotate.ts";
import { openHosts } from "../../src/core/hosts/open.ts";
import { Secret } from "../../src/core/secret.ts";
import { generateKey } from "../../src/core/ssh/key/generate.ts";
import { needs } from "../servers/engines.ts";
import { type KeyFleet, startKeyFleet } from "../servers/key-fleet.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";
import { testContext } from "../unit/commands/context.ts";
import { rotateKeys, writesOf } from "../servers/rotate-keys.ts";

needs(
  "sshd",
  "ssh",
  "unshare",
)("ssh key rotate", () => {
  let fleet: KeyFleet;
  beforeAll(async () => {
    fleet = await startKeyFleet(3);
  });
  afterAll(() => fleet?.stop());
  beforeEach(() => fleet.reset());

  const keyFiles = async (): Promise<string[]> => (await readdir(join(fleet.dir, "keys"))).toSorted();

  it("replaces the key everywhere, under its options, and keeps the old one here", async () => {
    const before = await readFile(fleet.key, "utf8");
    await fleet.reset({ lines: { box2: 'from="127.0.0.1",no-pty {key}\n# the end' } });
    const { output, exit } = await rotateKeys(fleet);
    expect(exit).toBe(0);
    expect(output).toMatchObject({ done: true, hosts: fleet.names.map((host) => ({ host, state: "retired" })) });
    expect(await readFile(output.kept ?? "", "utf8")).toBe(before);
    const open = (await readFile(`${fleet.key}.pub`, "utf8")).trim();
    expect(await readFile(fleet.authorized("box1"), "utf8")).toBe(`# keys of box1\n${open}\n`);
    expect(await readFile(fleet.authorized("box2"), "utf8")).toBe(`# the end\nfrom="127.0.0.1",no-pty ${open}\n`);
    for (const name of fleet.names) {
      expect([await fleet.opens(name, fleet.key), await fleet.opens(name, output.kept ?? "")]).toEqual([true, false]);
    }
    const kept = output.kept?.slice(join(fleet.dir, "keys").length + 1) ?? "";
    expect(await keyFiles()).toEqual(["id", "id.pub", kept, `${kept}.pub`]);
  });

  it("takes nothing away while one target has not let the new key in, and goes on later", async () => {
    const failed = await rotateKeys(fleet, { host: "box2", step: 3, when: "before" });
    expect(failed.exit).toBe(3);
    expect(failed.output).toMatchObject({
      done: false,
      hosts: [{ state: "introduced" }, { state: "waiting", error: { code: "ssh.lost" } }, { state: "introduced" }],
    });
    for (const name of fleet.names) expect(await fleet.opens(name, fleet.key)).toBe(true);
    await expect(rotateKeys(fleet, undefined, { targets: ["box1"] })).rejects.toMatchObject({
      code: "usage.target",
      message: expect.stringContaining("box2, box3"),
    });
    expect(await rotateKeys(fleet)).toMatchObject({ exit: 0, output: { done: true, new: failed.output.new } });
  });

  it("gives up a machine that is gone, which keeps the old key", async () => {
    await rotateKeys(fleet, { host: "box3", step: 1, when: "before" });
    const { output } = await rotateKeys(fleet, undefined, { targets: ["box1", "box2"], forget: ["box3"] });
    expect(output.done).toBe(true);
    expect(await fleet.opens("box3", output.kept ?? "")).toBe(true);
  });

  it("passes a target over that does not take the old key", async () => {
    const other = await readFile(`${fleet.servers[2]?.identity}.pub`, "utf8");
    await fleet.reset({ lines: { box3: other } });
    const { output, exit } = await rotateKeys(fleet, undefined, { identities: [fleet.servers[2]?.identity ?? ""] });
    expect([exit, output.done]).toEqual([0, true]);
    expect(output.hosts.map(({ state }) => state)).toEqual(["retired", "retired", "absent"]);
    expect(await readFile(fleet.authorized("box3"), "utf8")).toBe(other);
  });

  it("does not mistake a line that lets nobody in for a proof", async () => {
    await fleet.reset({ lines: { box1: 'from="192.0.2.1" {key}\n{key}\n' } });
    // The old key got in by its second line; the new one comes under the options of both.
    expect(await rotateKeys(fleet)).toMatchObject({ exit: 0 });
    expect((await readFile(fleet.authorized("box1"), "utf8")).split("\n")).toHaveLength(3);
  });

  it("refuses when no target takes the key, and leaves nothing behind", async () => {
    const other = await readFile(`${fleet.servers[0]?.identity}.pub`, "utf8");
    await fleet.reset({ lines: { box1: other } });
    const wish = { targets: ["box1"], identities: [fleet.servers[0]?.identity ?? ""] };
    await expect(rotateKeys(fleet, undefined, wish)).rejects.toMatchObject({ code: "plan.refused" });
    expect(await keyFiles()).toEqual(["id", "id.pub"]);
    expect(await readFile(fleet.authorized("box1"), "utf8")).toBe(other);
  });

  it("refuses a public key, before anything is made", async () => {
    const wrong = { ...fleet, key: `${fleet.key}.pub` };
    await expect(rotateKeys(wrong)).rejects.toMatchObject({ code: "usage.input" });
    expect(await keyFiles()).toEqual(["id", "id.pub"]);
  });

  it("refuses a journal that it cannot read", async () => {
    await writeFile(`${fleet.key}.rotation`, "{}");
    await expect(rotateKeys(fleet)).rejects.toMatchObject({ code: "config.invalid" });
  });

  it("is done by one at a time, so that no two make a successor of the same key", async () => {
    const runs = await Promise.allSettled([rotateKeys(fleet), rotateKeys(fleet)]);
    const refused = runs.flatMap((run) => (run.status === "rejected" ? [run.reason as unknown] : []));
    expect(refused).toEqual([
      expect.objectContaining({ code: "run.refused", message: expect.stringMatching(/process/) }),
    ]);
    for (const name of fleet.names) expect(await fleet.opens(name, fleet.key)).toBe(true);
    expect((await keyFiles()).filter((name) => /rotation|new/.test(name))).toEqual([]);
  });

  it("goes no further with another key in the place of the one that was introduced", async () => {
    await rotateKeys(fleet, { host: "box2", step: 3, when: "before" });
    await generateKey(`${fleet.key}.new`, { type: "ed25519", comment: "another" });
    await expect(rotateKeys(fleet)).rejects.toMatchObject({ code: "config.invalid" });
    for (const name of fleet.names) expect(await fleet.opens(name, fleet.key)).toBe(true);
  });

  // Every step, on ten servers: test/long/key-rotation.test.ts.
  it("when the answer to a write is lost, the server takes a key that is here, and the next run ends it", async () => {
    const targets = ["box1", "box2"];
    // Of the writes the first adds the new line and the second removes the old one.
    for (const step of await writesOf(fleet, "box2")) {
      await fleet.reset();
      const failed = await rotateKeys(fleet, { host: "box2", step, when: "after" }, { targets });
      expect([step, failed.exit]).toEqual([step, 3]);
      const keys = (await keyFiles()).filter((name) => !/\.(pub|rotation)$/.test(name));
      const found = await Promise.all(keys.map((name) => fleet.opens("box2", join(fleet.dir, "keys", name))));
      expect([step, found]).toEqual([step, expect.arrayContaining([true])]);
      expect([step, (await rotateKeys(fleet, undefined, { targets })).output.done]).toEqual([step, true]);
      expect(await fleet.opens("box2", fleet.key)).toBe(true);
    }
  });
});

needs(
  "sshd",
  "ssh",
  "root",
  "useradd",
)("where a key is not enough", () => {
  let account: Account;
  let box: Sshd;
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-second-"));
    account = await createAccount();
    box = await startSshd({
      user: account.name,
      config: [
        "AuthorizedKeysFile .ssh/authorized_keys",
        "UsePAM yes",
        "PasswordAuthentication yes",
        "AuthenticationMethods publickey,password",
      ],
    });
    await mkdir(join(account.home, ".ssh"), { mode: 0o700 });
    await generateKey(join(dir, "id"), { type: "ed25519", comment: "first" });
    await copyFile(join(dir, "id.pub"), join(account.home, ".ssh/authorized_keys"));
    for (const path of [".ssh", ".ssh/authorized_keys"])
      await chown(join(account.home, path), account.uid, account.gid);
  });
  afterAll(async () => {
    await box?.stop();
    await account?.remove();
    await rm(dir, { recursive: true, force: true });
  });

  const open = async (asked: string[] | undefined) => {
    const configFile = join(dir, "ssh_config");
    const config = await readFile(box.configFile, "utf8");
    await writeFile(configFile, config.replace(/IdentityFile .*/, `IdentityFile ${join(dir, "id")}`));
    const ask =
      asked &&
      (async ({ kind }: { kind: string }) => {
        asked.push(kind);
        return new Secret(account.password);
      });
    return { configFile, hosts: openHosts({ ssh: { configFile, env: {}, ask } }) };
  };

  it("the password counts behind the key only, and the rotation asks for it", async () => {
    const asked: string[] = [];
    const { configFile, hosts } = await open(asked);
    try {
      const stranger = await generateKey(join(dir, "stranger"), { type: "ed25519", comment: "stranger" });
      const [target] = testContext({ targets: ["box"] }).targets;
      if (target === undefined) throw new Error("no target");
      await expect(hosts.open(target, { only: stranger.private })).rejects.toMatchObject({ code: "ssh.auth" });
      expect(asked).toEqual([]);
      const context = testContext({ targets: ["box"], options: { sshConfig: configFile } });
      const input = rotate.input.parse({ key: join(dir, "id"), withoutPassphrase: true });
      const ran = await rotate.run(input, { ...context, hosts, confirm: () => Promise.resolve() });
      expect(ran).toMatchObject({ exit: 0, output: { done: true } });
      expect(asked).toContain("password");
    } finally {
      await hosts.close();
    }
    const silent = await open(undefined);
    try {
      const context = testContext({ targets: ["box"], options: { sshConfig: silent.configFile } });
      const input = rotate.input.parse({ key: join(dir, "id"), withoutPassphrase: true });
      const run = rotate.run(input, { ...context, hosts: silent.hosts, confirm: () => Promise.resolve() });
      await expect(run).rejects.toMatchObject({ code: "ssh.auth", hint: expect.stringContaining("second factor") });
    } finally {
      await silent.hosts.close();
    }
  });
});
