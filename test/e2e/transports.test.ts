/** Who logs in: this program, certificates included, and the ssh of this machine where it is told to. */
import { execFileSync } from "node:child_process";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, ami, inventHome, program } from "./run.ts";
import { openTerminal } from "./terminal.ts";

let home: Home;
beforeEach(async () => {
  home = await inventHome();
});
afterEach(() => home.remove());

needs("sshd", "ssh")("certificates", () => {
  it("let a user in on a host, each trusted by its authority alone", async () => {
    const at = (name: string): string => join(home.dir, name);
    const keygen = (...words: readonly string[]): unknown => execFileSync("ssh-keygen", ["-q", ...words]);
    for (const name of ["users", "hosts", "id", "host"]) keygen("-t", "ed25519", "-N", "", "-f", at(name));
    keygen("-s", at("hosts"), "-h", "-I", "box", "-n", "box.example", at("host.pub"));
    const config = [
      `HostKey ${at("host")}`,
      `HostCertificate ${at("host-cert.pub")}`,
      `TrustedUserCAKeys ${at("users.pub")}`,
      "AuthorizedKeysFile none",
    ];
    const server = await startSshd({ hostKeys: [], config });
    try {
      const known = (await readFile(at("hosts.pub"), "utf8")).trim();
      await writeFile(at("known"), `@cert-authority *.example ${known}\n`);
      await writeFile(
        at("config"),
        `Host box
  HostName ${server.host}
  HostKeyAlias box.example
  Port ${server.port}
  User ${server.user}
  IdentityFile ${at("id")}
  UserKnownHostsFile ${at("known")}
  GlobalKnownHostsFile none
`,
      );
      const enter = ["ssh", "execute", "echo in", "--target", "box", "--ssh-config", at("config")];
      const certify = (...words: readonly string[]): unknown =>
        keygen("-s", at("users"), "-I", "me", "-n", server.user, ...words, at("id.pub"));
      certify();
      for (const how of ["ssh2", "system"]) {
        const ran = await ami(home, [...enter, "--transport", how]);
        expect(ran).toMatchObject({ code: 0, stdout: "in\n", stderr: "" });
      }
      certify("-V", "20200101:20200102");
      const late = await ami(home, enter);
      expect(late).toMatchObject({ code: 4, stderr: expect.stringContaining("id-cert.pub: it expired on 2020-01-02") });
    } finally {
      await server.stop();
    }
  });
});

needs("sshd", "ssh")("--transport system", () => {
  let box: Sshd;
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  const on = (...words: readonly string[]): readonly string[] =>
    ["ssh", ...words, "--target", "box", "--ssh-config", box.configFile].concat("--transport", "system");

  it("runs programs and carries files as our own does", async () => {
    const ran = await ami(home, on("execute", "printf 'out\\n'; printf 'err\\n' >&2; exit 42"));
    expect(ran).toMatchObject({ code: 42, stdout: "out\n", stderr: "err\n" });
    const data = Buffer.alloc(3_000_000, "some bytes");
    const [local, there, back] = ["local", "there", "back"].map((name) => join(home.dir, name));
    await writeFile(local ?? "", data);
    expect(await ami(home, on("put", local ?? "", there ?? ""))).toMatchObject({ code: 0 });
    expect(await ami(home, on("get", there ?? "", back ?? ""))).toMatchObject({ code: 0 });
    expect((await readFile(back ?? "")).equals(data)).toBe(true);
  });

  it("can be a setting, and says what is missing where there is no ssh", async () => {
    const set = await ami(home, ["config", "set", "ssh.transport", "system"]);
    expect(set).toMatchObject({ code: 0 });
    const enter = ["ssh", "execute", "echo in", "--target", "box", "--ssh-config", box.configFile];
    const without = await ami(home, enter, { env: { PATH: "/nowhere" } });
    expect(without).toMatchObject({ code: 6, stderr: expect.stringContaining("openssh-client") });
    expect(await ami(home, [...enter, "--transport", "ssh2"], { env: { PATH: "/nowhere" } })).toMatchObject({
      code: 0,
    });
  });
});

needs(
  "sshd",
  "ssh",
  "tmux",
)("--transport system at a terminal", () => {
  it("asks for the passphrase of a key through a little program of its own, and opens a shell", async () => {
    const box = await startSshd();
    const key = join(home.dir, "id");
    await copyFile(box.identity, key);
    execFileSync("ssh-keygen", ["-q", "-p", "-P", "", "-N", "geheim", "-f", key]);
    const config = join(home.dir, "config");
    await writeFile(config, (await readFile(box.configFile, "utf8")).replace(box.identity, key));
    const words = ["ssh", "connect", "box", "--ssh-config", config, "--transport", "system"];
    const terminal = await openTerminal(home, [...program, ...words]);
    try {
      await terminal.sees(/Enter passphrase for key '[^']+':/);
      await terminal.type("geheim");
      await terminal.press("Enter");
      await terminal.sees(/[#$] ?$/m);
      await terminal.type("stty size; exit 7");
      await terminal.press("Enter");
      expect(await terminal.sees(/exit: 7/)).toMatch(/^30 100$/m);
      expect(await terminal.screen()).not.toContain("geheim");
    } finally {
      await terminal.close();
      await box.stop();
    }
  });
});
