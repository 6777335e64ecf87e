/** Host keys: who we believe to be the right machine. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, it } from "vitest";
import { Secret } from "../../src/core/secret.ts";
import type { Note, Question, SshOptions } from "../../src/core/ssh/options.ts";
import { createSshPool } from "../../src/core/ssh/pool.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, type SshdOptions, startSshd } from "../servers/sshd.ts";

needs("sshd", "ssh")("host keys", () => {
  const servers: Sshd[] = [];
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  /** A server nobody knows: an empty file is its known_hosts. */
  async function serve(options: SshdOptions = {}): Promise<Sshd & { known: string; at: string }> {
    const server = await startSshd(options);
    servers.push(server);
    const known = join(server.dir, "known");
    await writeFile(known, "");
    return { ...server, known, at: `[${server.host}]:${server.port}` };
  }
  async function connect(
    server: Sshd & { known: string },
    options: Partial<SshOptions> = {},
    config: string[] = [],
  ): Promise<void> {
    const configFile = join(server.dir, `client-${Math.random()}`);
    const place = [`HostName ${server.host}`, `Port ${server.port}`, `User ${server.user}`];
    const keys = [
      `UserKnownHostsFile ${server.known}`,
      "GlobalKnownHostsFile /dev/null",
      `IdentityFile ${server.identity}`,
    ];
    await writeFile(configFile, [...config, "Host box", ...place, ...keys].join("\n") + "\n");
    const pool = createSshPool({ configFile, env: {}, ...options });
    try {
      const { link } = await pool.link({ name: "box", host: "box" });
      await link.connect();
    } finally {
      await pool.close();
    }
  }
  const publicKey = async (server: Sshd, which = 0): Promise<string> => {
    const text = await readFile(`${server.hostKeys[which]}.pub`, "utf8");
    return text.split(" ").slice(0, 2).join(" ");
  };
  const printOf = async (file: string | undefined): Promise<string> =>
    (await promisify(execFile)("ssh-keygen", ["-lf", file ?? ""])).stdout.split(" ")[1] ?? "";

  it("an unknown one is refused when nobody can be asked, and the error says how to accept it", async () => {
    const server = await serve();
    await expect(connect(server)).rejects.toMatchObject({
      code: "hostkey.unknown",
      host: "box",
      message: expect.stringContaining(await printOf(server.hostKeys[0])),
      hint: expect.stringContaining("--accept-new"),
    });
    expect(await readFile(server.known, "utf8")).toBe("");
    // Nobody was told who we are before the key was checked.
    expect(server.log()).not.toMatch(/Accepted|Failed|userauth/);
  });

  it("an unknown one is asked for with its fingerprint; yes, or the fingerprint, writes it down", async () => {
    for (const answer of ["yes", undefined]) {
      const server = await serve();
      const print = await printOf(server.hostKeys[0]);
      const questions: Question[] = [];
      const ask = async (question: Question): Promise<Secret> => {
        questions.push(question);
        return new Secret(answer ?? print);
      };
      await connect(server, { ask });
      expect(questions.map(({ kind, echo, host }) => [kind, echo, host])).toEqual([["host-key", true, "box"]]);
      expect(questions[0]?.text).toContain(print);
      expect(await readFile(server.known, "utf8")).toBe(`${server.at} ${await publicKey(server)}\n`);
      await connect(server);
    }
  });

  it("no is no, and so is anything that is neither", async () => {
    const server = await serve();
    for (const answer of ["no", "SHA256:other", undefined]) {
      const ask = async (): Promise<Secret | undefined> => (answer === undefined ? undefined : new Secret(answer));
      await expect(connect(server, { ask })).rejects.toMatchObject({ code: "hostkey.unknown" });
    }
    expect(await readFile(server.known, "utf8")).toBe("");
  });

  it("StrictHostKeyChecking yes asks nobody", async () => {
    const server = await serve();
    const ask = (): Promise<Secret> => Promise.resolve(new Secret("yes"));
    await expect(connect(server, { ask }, ["StrictHostKeyChecking yes"])).rejects.toMatchObject({
      code: "hostkey.unknown",
    });
  });

  it("only the whole word counts as yes, and it is asked for three times", async () => {
    const server = await serve();
    const attempts: number[] = [];
    const ask = async ({ attempt }: Question): Promise<Secret> => {
      attempts.push(attempt);
      return new Secret(attempt % 2 === 1 ? "y" : "yesterday");
    };
    await expect(connect(server, { ask })).rejects.toMatchObject({ code: "hostkey.unknown" });
    expect(attempts).toEqual([1, 2, 3]);
    expect(await readFile(server.known, "utf8")).toBe("");
  });

  it("BatchMode asks nobody", async () => {
    const server = await serve();
    const ask = (): Promise<Secret> => Promise.resolve(new Secret("yes"));
    await expect(connect(server, { ask }, ["BatchMode yes"])).rejects.toMatchObject({ code: "hostkey.unknown" });
  });

  it("accept-new where nothing can be written down goes on with a warning, as ssh does", async () => {
    const server = await serve();
    const notes: Note[] = [];
    const known = "/proc/known_hosts";
    await connect({ ...server, known }, { acceptNew: true, note: (note) => notes.push(note) });
    expect(notes).toMatchObject([{ level: "warn", text: expect.stringContaining(`${known} cannot be written`) }]);
  });

  it("a revoked one is refused by the address behind a name too", async () => {
    const server = await serve();
    const key = await publicKey(server);
    await writeFile(server.known, `@revoked ${server.at} ${key}\n`);
    await expect(
      connect({ ...server, host: "localhost" }, { acceptNew: true }, ["Host *", "AddressFamily inet"]),
    ).rejects.toMatchObject({ code: "hostkey.revoked", message: expect.stringContaining(`${server.known}:1`) });
  });

  it("with a list of revoked keys that cannot be read here nobody is trusted", async () => {
    const server = await serve();
    await writeFile(server.known, `${server.at} ${await publicKey(server)}\n`);
    const list = join(server.dir, "krl");
    await promisify(execFile)("ssh-keygen", ["-q", "-k", "-f", list, `${server.identity}.pub`]);
    await expect(connect(server, {}, [`RevokedHostKeys ${list}`])).rejects.toMatchObject({
      code: "hostkey.revoked",
      message: expect.stringContaining("is a KRL"),
    });
  });

  it("accept-new, by flag or config, writes it down and says so", async () => {
    for (const [options, config] of [
      [{ acceptNew: true }, []],
      [{}, ["StrictHostKeyChecking accept-new"]],
    ] as const) {
      const server = await serve();
      const notes: Note[] = [];
      await connect(server, { ...options, note: (note) => notes.push(note) }, [...config]);
      expect(await readFile(server.known, "utf8")).toContain(await publicKey(server));
      expect(notes.map(({ text }) => text).join()).toContain(await printOf(server.hostKeys[0]));
    }
  });

  it("HashKnownHosts writes a name that only ssh can read", async () => {
    const server = await serve();
    await connect(server, { acceptNew: true }, ["HashKnownHosts yes"]);
    expect(await readFile(server.known, "utf8")).toMatch(/^\|1\|/);
    await connect(server);
    expect((await promisify(execFile)("ssh-keygen", ["-F", server.at, "-f", server.known])).stdout).toContain(
      "found: line 1",
    );
  });

  it("a changed one is refused whatever was said, with the line and both fingerprints", async () => {
    const server = await serve();
    const other = await serve();
    await writeFile(server.known, `# mine\n${server.at} ${await publicKey(other)}\n`);
    const [shown, known] = [await printOf(server.hostKeys[0]), await printOf(other.hostKeys[0])];
    const ask = (): Promise<Secret> => Promise.resolve(new Secret("yes"));
    for (const config of [[], ["StrictHostKeyChecking no"], ["StrictHostKeyChecking accept-new"]]) {
      await expect(connect(server, { acceptNew: true, ask }, config)).rejects.toMatchObject({
        code: "hostkey.changed",
        message: expect.stringMatching(new RegExp(`${escape(shown)}[^]*${escape(known)}[^]*${escape(server.known)}:2`)),
        hint: `only if you know why: ami-node ssh known-hosts remove '${server.at}' --file ${server.known}`,
      });
    }
    expect(server.log()).not.toMatch(/Accepted|Failed|userauth/);
  });

  it("a revoked one is refused, by known_hosts and by RevokedHostKeys", async () => {
    const server = await serve();
    const key = await publicKey(server);
    await writeFile(server.known, `${server.at} ${key}\n@revoked * ${key}\n`);
    await expect(connect(server, { acceptNew: true })).rejects.toMatchObject({
      code: "hostkey.revoked",
      message: expect.stringContaining(`${server.known}:2`),
    });
    await writeFile(server.known, `${server.at} ${key}\n`);
    await expect(connect(server, {}, [`RevokedHostKeys ${server.hostKeys[0]}.pub`])).rejects.toMatchObject({
      code: "hostkey.revoked",
    });
    await expect(connect(server, {}, [`RevokedHostKeys ${server.dir}/missing`])).rejects.toMatchObject({
      code: "hostkey.revoked",
      message: expect.stringContaining("cannot be read"),
    });
  });

  it("of a server with several, the kind we know is shown", async () => {
    const server = await serve({ hostKeys: ["ed25519", "rsa", "ecdsa"] });
    for (const which of [0, 1, 2]) {
      await writeFile(server.known, `${server.at} ${await publicKey(server, which)}\n`);
      await connect(server);
    }
  });

  it("stay checked when the keys of the connection are changed on the way", async () => {
    const server = await serve({ config: ["RekeyLimit 64K"] });
    await writeFile(server.known, `${server.at} ${await publicKey(server)}\n`);
    const pool = createSshPool({ configFile: server.configFile, env: {} });
    const { link } = await pool.link({ name: "box", host: "box" });
    const session = await link.session({ command: "head -c 1000000 /dev/zero" });
    session.stdin.end();
    session.stderr.resume();
    expect(Buffer.concat(await session.stdout.toArray())).toHaveLength(1_000_000);
    expect(await session.exit).toEqual({ code: 0 });
    await pool.close();
  });
});

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
