/** Known hosts with a real sshd and a real ssh: each reads what the other wrote, and both refuse the same keys. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type HostKeyVerdict, addHostKey, checkHostKey, knownKeyTypes } from "../../src/core/ssh/known-hosts.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

needs("sshd", "ssh")("known hosts of a real server", () => {
  let server: Sshd;
  let dir = "";
  const keys = new Map<string, Buffer>();
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-known-hosts-"));
    server = await startSshd({ hostKeys: ["ed25519", "rsa", "ecdsa"] });
    for (const file of server.hostKeys) {
      const [type, base64] = (await readFile(`${file}.pub`, "utf8")).split(" ");
      keys.set(type ?? "", Buffer.from(base64 ?? "", "base64"));
    }
  });
  afterAll(async () => {
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const key = (type: string): Buffer => keys.get(type) ?? Buffer.alloc(0);

  function ask(file: string, type: string): Promise<HostKeyVerdict> {
    const { host, port } = server;
    return checkHostKey({ host, port, key: key(type), userFiles: [file], globalFiles: [] });
  }

  function ssh(file: string, ...options: readonly string[]): Promise<{ code: number; stderr: string }> {
    const given = [
      `UserKnownHostsFile=${file}`,
      "GlobalKnownHostsFile=none",
      "BatchMode=yes",
      "UpdateHostKeys=no",
      ...options,
    ];
    const words = [
      "-F",
      "none",
      "-i",
      server.identity,
      "-p",
      String(server.port),
      ...given.flatMap((option) => ["-o", option]),
    ];
    return new Promise((resolve) => {
      const child = execFile("ssh", [...words, `${server.user}@${server.host}`, "true"], (error, _stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stderr });
      });
      child.stdin?.end();
    });
  }

  it.each(["yes", "no"])("what ssh wrote down (hashed: %s) is known to us", async (hash) => {
    const file = join(dir, `by-ssh-${hash}`);
    expect(await ssh(file, "StrictHostKeyChecking=accept-new", `HashKnownHosts=${hash}`)).toMatchObject({ code: 0 });
    expect(await ask(file, "ssh-ed25519")).toMatchObject({ state: "known", file, line: 1 });
    expect(await ask(file, "ssh-rsa")).toMatchObject({ state: "changed", file, line: 1, keyTypes: ["ssh-ed25519"] });
    expect(await knownKeyTypes({ ...server, userFiles: [file], globalFiles: [] })).toEqual(["ssh-ed25519"]);
  });

  it.each([true, false])("what we wrote down (hashed: %s) is known to ssh", async (hash) => {
    const file = join(dir, `by-us-${hash}`);
    const { host, port } = server;
    expect(await ssh(file, "StrictHostKeyChecking=yes")).not.toMatchObject({ code: 0 });
    for (const type of ["ssh-rsa", "ecdsa-sha2-nistp256"]) await addHostKey({ file, host, port, key: key(type), hash });
    expect(await ssh(file, "StrictHostKeyChecking=yes")).toMatchObject({ code: 0 });
    expect(await knownKeyTypes({ host, port, userFiles: [file], globalFiles: [] })).toEqual([
      "ssh-rsa",
      "ecdsa-sha2-nistp256",
    ]);
  });

  it("a changed key is refused by both, in the same line", async () => {
    const file = join(dir, "changed");
    await writeFile(file, `# one\n[${server.host}]:${server.port} ${await readFile(`${server.identity}.pub`, "utf8")}`);
    const said = await ssh(file, "StrictHostKeyChecking=accept-new");
    expect(said.code).toBe(255);
    expect(said.stderr).toContain("REMOTE HOST IDENTIFICATION HAS CHANGED");
    expect(said.stderr).toContain(`${file}:2`);
    expect(await ask(file, "ssh-ed25519")).toMatchObject({ state: "changed", file, line: 2 });
  });

  it("a revoked key is refused by both, though it is known too", async () => {
    const file = join(dir, "revoked");
    const all = await readFile(server.knownHosts, "utf8");
    const revoked = [...keys].map(([type, raw]) => `@revoked * ${type} ${raw.toString("base64")}\n`);
    await writeFile(file, all + revoked.join(""));
    const said = await ssh(file, "StrictHostKeyChecking=accept-new");
    expect(said.code).toBe(255);
    expect(said.stderr).toContain("REVOKED HOST KEY DETECTED");
    expect(await ask(file, "ssh-ed25519")).toMatchObject({ state: "revoked", file, line: 4 });
  });

  it("a key known for the name without its port counts for both", async () => {
    const file = join(dir, "portless");
    await addHostKey({ file, host: server.host, port: 22, key: key("ssh-ed25519"), hash: false });
    expect(await ssh(file, "StrictHostKeyChecking=yes")).toMatchObject({ code: 0 });
    expect(await ask(file, "ssh-ed25519")).toMatchObject({ state: "known", line: 1 });
  });
});
