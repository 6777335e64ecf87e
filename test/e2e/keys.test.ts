/** Keys from a bare home to a server that takes the new key only: made, installed, listed, rotated; and who is known. */
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type KeyFleet, startKeyFleet } from "../servers/key-fleet.ts";
import { type Home, ami, inventHome } from "./run.ts";

needs(
  "sshd",
  "ssh",
  "unshare",
)("ssh key", () => {
  let home: Home;
  let fleet: KeyFleet;
  beforeAll(async () => {
    fleet = await startKeyFleet(1);
  });
  afterAll(() => fleet?.stop());
  beforeEach(async () => {
    home = await inventHome();
    await fleet.reset();
  });
  afterEach(() => home.remove());
  const config = (): readonly string[] => ["--ssh-config", fleet.configFile];

  it("is made with a passphrase, installed, shown and rotated, and every step is JSON too", async () => {
    await writeFile(join(home.dir, "pass"), "geheim\n");
    const key = join(home.dir, ".ssh", "id_ed25519");
    const made = await ami(home, ["ssh", "key", "generate", "--passphrase-file", "-", "--json"], { stdin: "geheim\n" });
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(made.stdout)).toMatchObject({ path: key, type: "ssh-ed25519", bits: 256, encrypted: true });
    expect(await readFile(key, "latin1")).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----\n/);

    const installed = await ami(home, ["ssh", "key", "install", "box1", ...config()]);
    expect(installed).toMatchObject({ code: 0 });
    expect(installed.stderr).toMatch(/box1.*authorized_keys: added/);
    const listed = await ami(home, ["ssh", "key", "list", "--target", "box1", "--json", ...config()]);
    const { keys } = JSON.parse(listed.stdout) as { keys: { path: string; kind: string; letInBy: unknown[] }[] };
    expect(keys.find(({ path }) => path === key)).toMatchObject({
      kind: "encrypted",
      letInBy: [{ host: "box1", line: 3 }],
    });

    const rotate = ["ssh", "key", "rotate", "box1", "--key", fleet.key, "--without-passphrase", ...config()];
    expect((await ami(home, rotate)).stderr).toMatch(/nobody can answer/);
    const rotated = await ami(home, [...rotate, "--yes", "--json"]);
    expect(rotated.code).toBe(0);
    const last = JSON.parse(rotated.stdout.trim().split("\n").at(-1) ?? "") as { output: { kept: string } };
    expect(last).toMatchObject({ kind: "result", output: { done: true, hosts: [{ host: "box1", state: "retired" }] } });
    expect(await fleet.opens("box1", fleet.key)).toBe(true);
    expect(await fleet.opens("box1", last.output.kept)).toBe(false);

    const revoked = await ami(home, ["ssh", "key", "revoke", "box1", "--key", key, "--yes", ...config()]);
    expect(revoked).toMatchObject({ code: 0 });
    expect(await readFile(fleet.authorized("box1"), "utf8")).not.toContain(
      (await readFile(`${key}.pub`, "utf8")).trim(),
    );
    const everything = [installed, listed, rotated, revoked].map(({ stdout, stderr }) => stdout + stderr).join("");
    expect(everything).not.toMatch(/PRIVATE KEY|geheim/);
  });

  it("knows hosts, and shows what the config says", async () => {
    const server = fleet.servers[0];
    const known = join(home.dir, "known");
    const added = await ami(home, ["ssh", "known-hosts", "add", "box1", "--file", known, "--yes", ...config()]);
    expect(added).toMatchObject({ code: 0, stdout: expect.stringMatching(/^box1: ssh-ed25519 SHA256:\S+ added\n$/) });
    expect((await readFile(known, "utf8")).startsWith(`[${server?.host}]:${server?.port} ssh-ed25519 `)).toBe(true);
    const words = ["ssh", "known-hosts"];
    expect(await ami(home, [...words, "list", "box1", "--file", known, ...config()])).toMatchObject({ code: 0 });
    expect(await ami(home, [...words, "remove", "box1", "--file", known, ...config()])).toMatchObject({ code: 0 });
    expect(await ami(home, [...words, "list", "box1", "--file", known, ...config()])).toMatchObject({ code: 1 });
    expect((await readdir(home.dir)).filter((name) => name.startsWith("known")).toSorted()).toEqual([
      "known",
      "known.old",
    ]);
    const shown = await ami(home, ["ssh", "config", "box1", ...config()]);
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining(`\nport ${server?.port}\n`) });
  });
});
