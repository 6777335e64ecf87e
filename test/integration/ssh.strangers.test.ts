/** Servers other than OpenSSH: none of the short cuts, and answers of their own. The server is ssh2's. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import ssh2, { type AuthContext, type Connection, type Server, type Session } from "ssh2";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Secret } from "../../src/core/secret.ts";
import type { Note, SshOptions } from "../../src/core/ssh/options.ts";
import { inside, isSftpChannel } from "../../src/core/ssh/inside.ts";
import { type SshPool, createSshPool } from "../../src/core/ssh/pool.ts";
import { sftpFiles } from "../../src/core/ssh/sftp-files.ts";
import { needs } from "../servers/engines.ts";

needs("sshd")("a server of another make", () => {
  let dir: string;
  const servers: Server[] = [];
  const pools: SshPool[] = [];
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-strange-"));
    for (const [name, ...args] of [
      ["host", "-t", "ed25519"],
      ["ed25519", "-t", "ed25519"],
      ["rsa", "-t", "rsa", "-b", "2048", "-m", "PEM"],
    ]) {
      await promisify(execFile)("ssh-keygen", ["-q", "-N", "", ...args, "-f", join(dir, name ?? "")]);
    }
  });
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
    for (const server of servers.splice(0)) server.close();
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  async function serve(
    authenticate: (auth: AuthContext) => void,
    talk: (session: Session, client: Connection) => void,
    banner?: string,
  ): Promise<number> {
    const hostKeys = [await readFile(join(dir, "host"))];
    const server = new ssh2.Server({ hostKeys, ...(banner === undefined ? {} : { banner }) }, (client) => {
      client.on("error", () => undefined);
      client.on("authentication", authenticate);
      client.on("session", (accept) => talk(accept(), client));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }
  async function start(port: number, options: Partial<SshOptions> = {}) {
    const configFile = "none";
    const pool = createSshPool({ configFile, env: {}, home: dir, acceptNew: true, ...options });
    pools.push(pool);
    const { link } = await pool.link({ name: "strange", host: "127.0.0.1", port, user: "me" });
    const session = await link.session({ command: "some words" });
    session.stdin.end("in");
    session.stderr.resume();
    return session;
  }
  const echo = (session: Session): void =>
    void session.on("exec", (accept, _reject, { command }) => {
      const channel = accept();
      channel.write(`<${command}>`);
      channel.on("data", (bytes: Buffer) => channel.write(bytes));
      channel.on("end", () => {
        channel.exit(3);
        channel.end();
      });
    });
  const said = async (session: { stdout: AsyncIterable<Buffer> }): Promise<string> => {
    let text = "";
    for await (const bytes of session.stdout) text += bytes.toString();
    return text;
  };

  for (const name of ["ed25519", "rsa"]) {
    it(`takes a key (${name})`, async () => {
      const methods: string[] = [];
      const port = await serve((auth) => {
        methods.push(`${auth.method}${"signature" in auth && auth.signature ? " signed" : ""}`);
        if (auth.method === "publickey") auth.accept();
        else auth.reject(["publickey"]);
      }, echo);
      const session = await start(port, { identities: [join(dir, name)] });
      expect([await said(session), await session.exit]).toEqual(["<some words>in", { code: 3 }]);
      expect(methods).toEqual(["publickey signed"]);
    });
  }

  it("is asked what it takes before a person is asked anything", async () => {
    const methods: string[] = [];
    const port = await serve((auth) => {
      methods.push(auth.method);
      if (auth.method === "password" && auth.password === "open") auth.accept();
      else auth.reject(["password"]);
    }, echo);
    const session = await start(port, { ask: () => Promise.resolve(new Secret("open")) });
    expect(await said(session)).toBe("<some words>in");
    expect(methods).toEqual(["none", "password"]);
  });

  it("may let everybody in", async () => {
    const port = await serve((auth) => auth.accept(), echo);
    expect(await said(await start(port))).toBe("<some words>in");
  });

  it("asks questions of its own", async () => {
    const port = await serve((auth) => {
      if (auth.method !== "keyboard-interactive") return auth.reject(["keyboard-interactive"]);
      auth.prompt(
        [
          { prompt: "Code: ", echo: true },
          { prompt: "Pin: ", echo: false },
        ],
        "",
        "Look at your token",
        (answers) => {
          if (answers?.join() === "123,456") auth.accept();
          else auth.reject();
        },
      );
    }, echo);
    const asked: string[] = [];
    const ask: SshOptions["ask"] = async ({ kind, text, echo: shown }) => {
      asked.push(`${kind} ${shown} ${text}`);
      return new Secret(text.includes("Code") ? "123" : "456");
    };
    expect(await said(await start(port, { ask }))).toBe("<some words>in");
    expect(asked).toEqual([
      "challenge true (me@127.0.0.1) Look at your token Code: ",
      "challenge false (me@127.0.0.1) Look at your token Pin: ",
    ]);
  });

  it("its banner is passed on, and no terminal obeys it", async () => {
    const notes: Note[] = [];
    const port = await serve((auth) => auth.accept(), echo, "Welcome\nto the \x1b]0;machine\x07\n");
    await said(await start(port, { note: (note) => notes.push(note) }));
    expect(notes.map(({ text }) => text)).toContain("Welcome\nto the \\x1b]0;machine\\x07");
  });

  it("no terminal obeys its questions", async () => {
    const port = await serve((auth) => {
      if (auth.method !== "keyboard-interactive") return auth.reject(["keyboard-interactive"]);
      auth.prompt([{ prompt: "Code\x1b[8m: ", echo: true }], "", "Look\x07", () => auth.accept());
    }, echo);
    const asked: string[] = [];
    const ask: SshOptions["ask"] = async ({ text }) => {
      asked.push(text);
      return new Secret("1");
    };
    await said(await start(port, { ask }));
    expect(asked).toEqual(["(me@127.0.0.1) Look\\x07 Code\\x1b[8m: "]);
  });

  it("a question for a new password is not answered with the old one", async () => {
    let round = 0;
    const port = await serve((auth) => {
      if (auth.method !== "keyboard-interactive") return auth.reject(["keyboard-interactive"]);
      const prompt = ["Password: ", "New password: ", "Retype it, the password: ", "Again, password: "][round++] ?? "";
      auth.prompt([{ prompt, echo: false }], (answers) => {
        // The next question is another try of the same method.
        if (round === 4) auth.accept();
        else auth.reject(["keyboard-interactive"], answers !== undefined);
      });
    }, echo);
    const kinds: string[] = [];
    const ask: SshOptions["ask"] = async ({ kind }) => {
      kinds.push(kind);
      return new Secret("x");
    };
    await said(await start(port, { ask }));
    expect(kinds).toEqual(["password", "challenge", "challenge", "challenge"]);
  });

  for (const planted of ["../../escaped", "/tmp/escaped", "nul\0"]) {
    it(`cannot have a file listed as ${JSON.stringify(planted)}`, async () => {
      const port = await serve(
        (auth) => auth.accept(),
        (session) =>
          void session.on("sftp", (accept) => {
            const sftp = accept();
            let isListed = false;
            sftp.on("OPENDIR", (id) => sftp.handle(id, Buffer.from("h")));
            sftp.on("CLOSE", (id) => sftp.status(id, ssh2.utils.sftp.STATUS_CODE.OK));
            sftp.on("READDIR", (id) => {
              if (isListed) return sftp.status(id, ssh2.utils.sftp.STATUS_CODE.EOF);
              isListed = true;
              const attrs = { mode: 0o100644, uid: 0, gid: 0, size: 1, atime: 0, mtime: 0 };
              sftp.name(id, [{ filename: planted, longname: planted, attrs }]);
            });
          }),
      );
      const pool = createSshPool({ configFile: "none", env: {}, home: dir, acceptNew: true });
      pools.push(pool);
      const { link } = await pool.link({ name: "strange", host: "127.0.0.1", port, user: "me" });
      const files = await link.withRoom(
        async (lent) => {
          const channel = await lent.connection.channel("sftp");
          if (!isSftpChannel(channel)) throw new Error("no sftp");
          const ready = new Promise((resolve) => channel.once("ready", resolve));
          inside(lent.connection.client)._protocol.subsystem(channel.outgoing.id, "sftp", true);
          channel._init();
          await ready;
          return sftpFiles(channel, lent.connection);
        },
        { signal: undefined },
      );
      await expect(files.list("/srv")).rejects.toThrow(/is no name of a file/);
    });
  }

  it("that shows another host key later on is cut off", async () => {
    const other = ssh2.utils.parseKey(await readFile(join(dir, "ed25519")));
    const port = await serve(
      (auth) => auth.accept(),
      (session, client) =>
        void session.on("exec", (accept) => {
          accept().write("before");
          const hostKeys: unknown = Reflect.get(Reflect.get(client, "_protocol"), "_hostKeys");
          Object.assign(hostKeys as object, { "ssh-ed25519": other });
          client.rekey();
        }),
    );
    const session = await start(port);
    const read = said(session);
    await expect(session.exit).rejects.toMatchObject({ code: "ssh.lost" });
    expect(await read.catch(() => "before")).toBe("before");
  });

  describe("when it refuses or breaks", () => {
    it("a refused command is host.spawn", async () => {
      const port = await serve(
        (auth) => auth.accept(),
        (session) => void session.on("exec", (_accept, reject) => reject()),
      );
      const session = await start(port);
      await expect(session.accepted).rejects.toMatchObject({ code: "host.spawn", host: "strange" });
      await expect(session.exit).rejects.toMatchObject({ code: "host.spawn" });
    });

    it("a session without an exit status is ssh.lost", async () => {
      const port = await serve(
        (auth) => auth.accept(),
        (session) => void session.on("exec", (accept) => accept().end("bye")),
      );
      const session = await start(port);
      expect(await said(session)).toBe("bye");
      await expect(session.exit).rejects.toMatchObject({
        code: "ssh.lost",
        message: expect.stringContaining("without saying how"),
      });
    });

    it("a hang-up during the login is ssh.auth, and says what was tried", async () => {
      let client: Connection | undefined;
      const port = await serve(
        () => client?.end(),
        () => undefined,
      );
      servers[0]?.on("connection", (each: Connection) => (client = each));
      await expect(start(port, { identities: [join(dir, "ed25519")] })).rejects.toMatchObject({
        code: "ssh.auth",
        message: expect.stringMatching(/tried publickey/),
      });
    });
  });
});
