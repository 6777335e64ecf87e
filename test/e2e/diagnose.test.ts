/** ssh diagnose as a user runs it: nothing said about what works, the fault named first, mended on request. */
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, ami, inventHome } from "./run.ts";

let home: Home;
beforeEach(async () => {
  home = await inventHome();
});
afterEach(() => home.remove());

needs("sshd")("ssh diagnose", () => {
  let box: Sshd;
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  const diagnose = (...words: readonly string[]) =>
    ami(home, ["ssh", "diagnose", "box", "--ssh-config", box.configFile, ...words]);

  it("has one line to say about a healthy machine, and all of it when asked", async () => {
    const short = await diagnose();
    expect(short).toMatchObject({ code: 0, stderr: "" });
    expect(short.stdout).toMatch(/^box: healthy \(\d+\.\d s\)\n$/);
    const long = await diagnose("--verbose");
    expect(long.stdout).toMatch(/^ {2}ok {6}sftp answers$/m);
    expect(long.stdout).toMatch(/^ {2}ok {6}round trip [\d.]+ ms, [\d.]+ MiB\/s/m);
  });

  it("tells a program everything", async () => {
    const { code, stdout } = await diagnose("--json");
    expect(code).toBe(0);
    const [answer] = JSON.parse(stdout);
    expect(answer).toMatchObject({ host: "box", healthy: true, mended: [] });
    const stages = new Set(answer.findings.map(({ stage }: { stage: string }) => stage));
    expect([...stages].join(", ")).toBe(
      "config, resolve, tcp, banner, offer, algorithms, host key, auth, session, health, speed",
    );
  });

  it("names a closed port, what it hides, and the way out; exit 3", async () => {
    const config = join(home.dir, "config");
    await writeFile(config, "Host box\n  HostName 127.0.0.1\n  Port 1\n");
    const { code, stdout } = await ami(home, ["ssh", "diagnose", "box", "--ssh-config", config]);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^ {2}fail {4}127\.0\.0\.1:1 refuses connections.* {2}\[tcp\.refused\]$/m);
    expect(stdout).toMatch(/^ +fix (there|here): .+$/m);
    expect(stdout).toMatch(/^ {2}skipped banner, offer, .*speed: not examined, because 127\.0\.0\.1:1 refuses/m);
  });

  it("mends a key's mode and a stale line of known_hosts, once the answer is yes", async () => {
    const known = await readFile(box.knownHosts, "utf8");
    await chmod(box.identity, 0o644);
    const [name = ""] = known.split(" ");
    // Of a machine that has been given up.
    const stale = `${name} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKb1pRzNPqs3wYyMtCCmNBKdJMPv5UcHvAmeKYhTCmQk\n`;
    await writeFile(box.knownHosts, `${stale}${known}`);
    const unasked = await diagnose("--fix");
    expect(unasked).toMatchObject({ code: 3 });
    expect((await stat(box.identity)).mode & 0o777).toBe(0o644);

    const mended = await diagnose("--fix", "--yes");
    expect(mended).toMatchObject({ code: 0 });
    expect(mended.stdout).toMatch(/^box: healthy/);
    expect(mended.stdout).toMatch(/^ {2}mended {2}.*id has mode 600 now$/m);
    expect((await stat(box.identity)).mode & 0o777).toBe(0o600);
    expect(await readFile(box.knownHosts, "utf8")).toBe(known);
    expect(await readFile(`${box.knownHosts}.old`, "utf8")).toBe(`${stale}${known}`);
  });
});
