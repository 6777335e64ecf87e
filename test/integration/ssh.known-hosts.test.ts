/** ssh known-hosts against ssh-keygen and ssh-keyscan: the same files before, the same knowledge after. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command as add } from "../../src/commands/ssh/known-hosts/add.ts";
import { command as hash } from "../../src/commands/ssh/known-hosts/hash.ts";
import { command as list } from "../../src/commands/ssh/known-hosts/list.ts";
import { command as remove } from "../../src/commands/ssh/known-hosts/remove.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { testContext } from "../unit/commands/context.ts";

needs("sshd", "ssh")("known hosts", () => {
  let dir = "";
  let keys: readonly string[] = [];
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-kh-"));
    keys = ["ed25519", "ecdsa", "rsa"].map((type) => {
      execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "", "-f", join(dir, type)]);
      return execFileSync("cat", [join(dir, `${type}.pub`)])
        .toString()
        .trim();
    });
    await writeFile(join(dir, "config"), `Host alias\n  HostName real.example.com\n  Port 2222\nHost *\n`);
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  const ctx = (yes = true) => ({
    ...testContext({ options: { sshConfig: join(dir, "config") } }),
    confirm: () => (yes ? Promise.resolve() : Promise.reject(new Error("refused"))),
  });

  /** Everything a file of known hosts may hold. */
  async function sample(name: string): Promise<string> {
    const file = join(dir, name);
    const [ed = "", ec = "", rsa = ""] = keys;
    await writeFile(join(dir, "plain"), `hidden.example.com ${ed}\n`);
    execFileSync("ssh-keygen", ["-q", "-H", "-f", join(dir, "plain")], { stdio: "ignore" });
    const hidden = await readFile(join(dir, "plain"), "utf8");
    const lines = [
      "# a comment",
      `web1 ${ed}`,
      `web1,192.0.2.1 ${ec} the comment`,
      `Web2,[web2]:2222 ${rsa}`,
      "",
      `*.example.com,!bad.example.com ${rsa}`,
      `@cert-authority *.corp ${ed}`,
      `@revoked web1 ${rsa}`,
      hidden.trim(),
      `[real.example.com]:2222 ${ec}`,
      `web3 ${ed}`,
    ];
    await writeFile(file, lines.join("\n"), { mode: 0o644 });
    return file;
  }

  const names = [
    "web1",
    "web2",
    "[web2]:2222",
    "192.0.2.1",
    "a.example.com",
    "hidden.example.com",
    "x.corp",
    "web3",
    "web9",
  ];
  const lookUp = (file: string, name: string): string => {
    try {
      const said = execFileSync("ssh-keygen", ["-F", name, "-f", file], { stdio: ["ignore", "pipe", "ignore"] });
      // Where it stands and how the name is written may differ; the keys and markers may not.
      return said
        .toString()
        .replace(/^#.*\n/gm, "")
        .replace(/(^|@\S+ )[^@\s]\S* /gm, "$1");
    } catch {
      return "unknown";
    }
  };

  describe("remove", () => {
    for (const name of names) {
      it(`leaves what ssh-keygen -R ${name} leaves`, async () => {
        const [ours, theirs] = [await sample("ours"), await sample("theirs")];
        // Theirs is written anew even then, hashed names get another salt in the sample: one file for both.
        await writeFile(theirs, await readFile(ours));
        const before = await readFile(ours, "utf8");
        const word = name.replace("[web2]:2222", "web2:2222");
        const { exit, output } = await remove.run(remove.input.parse({ host: [word], file: ours }), ctx());
        execFileSync("ssh-keygen", ["-R", name, "-f", theirs], { stdio: "ignore" });
        expect((await readFile(ours, "utf8")).trimEnd()).toBe((await readFile(theirs, "utf8")).trimEnd());
        expect(exit).toBe(output.hosts[0]?.removed.length === 0 ? 1 : 0);
        if (exit === 0) expect(await readFile(`${ours}.old`, "utf8")).toBe(before);
      });
    }

    it("leaves every other byte as it is", async () => {
      const file = join(dir, "bytes");
      const rest = Buffer.from(`web2 ${keys[0]} J\xfcrgen\n# caf\xe9\n`, "latin1");
      const all = Buffer.concat([Buffer.from(`web1 ${keys[0]}\n`), rest]);
      await writeFile(file, all);
      await remove.run({ host: ["web1"], file }, ctx());
      expect([await readFile(file), await readFile(`${file}.old`)]).toEqual([rest, all]);
    });

    it("removes what an alias of the config leads to", async () => {
      const file = await sample("alias");
      const { output } = await remove.run(remove.input.parse({ host: ["alias"], file }), ctx());
      expect(output.hosts).toEqual([
        { host: "alias", names: ["alias", "[real.example.com]:2222"], removed: [{ file, line: 10 }] },
      ]);
    });
  });

  it("hash leaves a file in which everything is found that was, as ssh-keygen -H does", async () => {
    const [ours, theirs] = [await sample("ours-h"), join(dir, "theirs-h")];
    await writeFile(theirs, await readFile(ours));
    const before = await readFile(ours, "utf8");
    const { output } = await hash.run({ file: ours }, ctx());
    expect(output.files).toEqual([{ file: ours, hashed: 7, left: [6, 7, 8] }]);
    execFileSync("ssh-keygen", ["-H", "-f", theirs], { stdio: "ignore" });
    for (const name of names) expect([name, lookUp(ours, name)]).toEqual([name, lookUp(theirs, name)]);
    const shape = async (file: string): Promise<string[]> =>
      (await readFile(file, "utf8"))
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(/^\|1\|\S+/, "|1|"));
    expect(await shape(ours)).toEqual(await shape(theirs));
    expect(await readFile(`${ours}.old`, "utf8")).toBe(before);
    expect((await hash.run({ file: ours }, ctx())).output.files).toMatchObject([{ hashed: 0 }]);
  });

  it("list tells each line with its fingerprint, and what is there twice", async () => {
    const file = await sample("list");
    const [ed = "", , rsa = ""] = keys;
    await writeFile(file, `${(await readFile(file, "utf8")).trimEnd()}\nweb3 ${ed}\nweb2 ${rsa}\n`);
    const other = join(dir, "other");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", other]);
    await writeFile(file, `${await readFile(file, "utf8")}web3 ${await readFile(`${other}.pub`, "utf8")}`);
    const { output, exit } = await list.run({ file }, ctx());
    expect(exit).toBe(0);
    expect(output.hosts).toHaveLength(12);
    const prints = execFileSync("ssh-keygen", ["-l", "-f", file]).toString().trim().split("\n");
    // ssh-keygen passes lines with a marker over.
    const plain = output.hosts.filter(({ marker }) => marker === undefined);
    expect(plain.map((host) => `${host.bits} ${host.fingerprint}`)).toEqual(
      prints.map((line) => line.split(" ").slice(0, 2).join(" ")),
    );
    expect(output.hosts.slice(-3)).toMatchObject([
      { names: "web3", repeats: `${file}:11` },
      { names: "web2", repeats: `${file}:4` },
      { names: "web3", differs: `${file}:11` },
    ]);
    expect((await list.run({ file, host: "hidden.example.com" }, ctx())).output.hosts).toMatchObject([
      { line: 6 },
      { line: 9 },
    ]);
    expect((await list.run({ file, host: "nobody" }, ctx())).exit).toBe(1);
  });

  describe("add", () => {
    let server: Sshd;
    beforeAll(async () => {
      server = await startSshd({ hostKeys: ["ed25519", "rsa", "ecdsa"] });
    });
    afterAll(() => server?.stop());

    it("writes down the keys that ssh-keyscan sees, once", async () => {
      const file = join(dir, "scanned");
      const host = `${server.host}:${server.port}`;
      const input = add.input.parse({ host: [host], file });
      await expect(add.run(input, ctx(false))).rejects.toThrow("refused");
      const { output } = await add.run(input, ctx());
      expect(output.keys.map(({ state }) => state)).toEqual(["added", "added", "added"]);
      const scan = await promisify(execFile)("ssh-keyscan", ["-p", String(server.port), server.host]);
      const sorted = (text: string): string[] =>
        text
          .split("\n")
          .filter((line) => /^[^#]/.test(line))
          .toSorted();
      expect(sorted(await readFile(file, "utf8"))).toEqual(sorted(scan.stdout));
      expect((await add.run(input, ctx(false))).output.keys.map(({ state }) => state)).toEqual([
        "known",
        "known",
        "known",
      ]);
    });

    it("asks a host behind a jump host through it", async () => {
      const jump = await startSshd({ name: "jump" });
      try {
        const file = join(dir, "behind");
        const config = join(dir, "jump_config");
        const hidden = [`Host hidden`, "HostName 127.0.0.1", `Port ${server.port}`, "ProxyJump jump", "Host *", ""];
        await writeFile(config, [...hidden, await readFile(jump.configFile, "utf8")].join("\n"));
        const through = { ...ctx(), options: { ...ctx().options, sshConfig: config } };
        await add.run(add.input.parse({ host: ["hidden"], file }), through);
        const linesOf = async (path: string) => (await readFile(path, "utf8")).trim().split("\n").toSorted();
        expect(await linesOf(file)).toEqual(await linesOf(server.knownHosts));
        expect(jump.log()).toContain("Accepted publickey");
      } finally {
        await jump.stop();
      }
    });

    it("refuses a key that differs from the known one", async () => {
      const file = join(dir, "differs");
      await writeFile(file, `[${server.host}]:${server.port} ${keys[0]}\n`);
      const input = add.input.parse({ host: [`${server.host}:${server.port}`], file });
      await expect(add.run(input, ctx())).rejects.toMatchObject({ code: "hostkey.changed" });
      expect(await readFile(file, "utf8")).toBe(`[${server.host}]:${server.port} ${keys[0]}\n`);
    });

    it("takes lines as they are, each once, and nothing of a file that has a bad one", async () => {
      const file = join(dir, "lines");
      const from = join(dir, "from");
      await writeFile(from, `# seen\nweb1 ${keys[0]}\n@cert-authority *.x ${keys[1]}\nweb1 ${keys[0]}\n`);
      await add.run(add.input.parse({ from, file }), ctx(false));
      await add.run(add.input.parse({ from, line: [`web2 ${keys[2]}`], file }), ctx(false));
      expect(await readFile(file, "utf8")).toBe(`web1 ${keys[0]}\n@cert-authority *.x ${keys[1]}\nweb2 ${keys[2]}\n`);
      const bad = add.input.parse({ line: [`web3 ${keys[0]}`, "web4 ssh-ed25519 AAAA"], file });
      await expect(add.run(bad, ctx())).rejects.toMatchObject({ code: "usage.input" });
      expect(await readFile(file, "utf8")).not.toContain("web3");
    });

    it("says that nobody is there", async () => {
      const input = add.input.parse({ host: ["127.0.0.1:1"], file: join(dir, "none") });
      await expect(add.run(input, ctx())).rejects.toMatchObject({ code: "ssh.connect" });
    });
  });
});
