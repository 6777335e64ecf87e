/** ssh tunnel and ssh proxy as users run them: in front, in the background, and as a ProxyCommand of OpenSSH. */
import { execFile } from "node:child_process";
import { chmod, writeFile } from "node:fs/promises";
import { type AddressInfo, type Server, connect, createServer } from "node:net";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { quoteArgv } from "../../src/core/argv.ts";
import { needs, where } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, ami, exitOf, inventHome, program, start } from "./run.ts";

needs("sshd", "ssh")("tunnels", () => {
  let home: Home;
  let box: Sshd;
  let service: Server;
  let port: number;
  beforeAll(async () => {
    box = await startSshd();
    service = createServer({ allowHalfOpen: true }, (socket) => void socket.on("error", () => undefined).pipe(socket));
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    port = (service.address() as AddressInfo).port;
  });
  beforeEach(async () => {
    home = await inventHome();
  });
  afterEach(async () => {
    await ami(home, ["ssh", "tunnel", "close", "--all"]);
    await home.remove();
  });
  afterAll(async () => {
    service?.close();
    await box?.stop();
  });
  const on = (verb: string, ...words: readonly string[]): readonly string[] => [
    "ssh",
    verb,
    "--ssh-config",
    box.configFile,
    "box",
    ...words,
  ];

  it("in front: tells the port, outlives a broken connection, ends by Ctrl-C", async () => {
    const child = start(home, on("tunnel", "-L", `0:localhost:${port}`, "--json"));
    let said = "";
    child.stdout?.on("data", (bytes: Buffer) => (said += bytes.toString()));
    const up = /"kind":"tunnel.up".*"listen":"localhost:(\d+)".*"again":false/;
    await until(() => up.test(said));
    const at = Number(up.exec(said)?.[1]);
    expect(await echo(at, "one")).toBe("one");
    for (const pid of await box.connections()) process.kill(pid, "SIGKILL");
    await until(() => said.includes('"again":true'));
    expect(await echo(at, "two")).toBe("two");
    child.kill("SIGINT");
    expect(await exitOf(child)).toBe(130);
    expect(said.trim().split("\n").at(-1)).toMatch(/"kind":"result","exit":130,"output":{"host":"box".*"served":2}/);
  });

  it("in the background: up when the command returns, listed, closed by name; a failure is told at once", async () => {
    const started = await ami(home, on("tunnel", "--local", `0:localhost:${port}`, "--background", "--name", "db"));
    expect(started).toMatchObject({ code: 0, stderr: expect.stringContaining("ssh tunnel close db") });
    const at = Number(/^localhost:(\d+) here -> localhost:\d+ from box\n$/.exec(started.stdout)?.[1]);
    expect(await echo(at, "still there")).toBe("still there");

    const list = async () => JSON.parse((await ami(home, ["ssh", "tunnel", "list", "--json"])).stdout).tunnels;
    const [record] = await list();
    expect(record).toMatchObject({ name: "db", target: "box", state: "up", tunnels: [{ listen: `localhost:${at}` }] });

    const taken = await ami(home, on("tunnel", "-D", "0", "--background", "--name", "db"));
    expect(taken).toMatchObject({ code: 64, stderr: expect.stringContaining("there is a tunnel db already") });
    const failed = await ami(home, on("tunnel", "-L", `${port}:localhost:1`, "--background"));
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(/cannot listen on .*has the port/) });
    expect(await list()).toHaveLength(1);

    expect(await ami(home, ["ssh", "tunnel", "close", "db"])).toMatchObject({ code: 0, stdout: "db: closed\n" });
    await expect(echo(at, "x")).rejects.toThrow();
    expect(await list()).toEqual([]);
    expect((await ami(home, ["ssh", "tunnel", "close", "db"])).code).toBe(64);
  });

  it("come up within the time that they are given, or not at all", async () => {
    // It takes connections and says nothing.
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
      const target = `root@127.0.0.1:${(silent.address() as AddressInfo).port}`;
      const verbs = [
        ["tunnel", target, "-D", "0"],
        ["tunnel", target, "-D", "0", "--background"],
        ["proxy", target, "80"],
      ];
      const runs = verbs.map((words) => ami(home, ["ssh", ...words, "--timeout", "1"]));
      for (const run of runs)
        expect(await run).toMatchObject({ code: 1, stderr: expect.stringContaining("within 1 s") });
      expect((await ami(home, ["ssh", "tunnel", "list"])).stdout).toBe("there are no tunnels in the background\n");
    } finally {
      silent.close();
    }
  });

  it("in the background: one that was killed is said to have failed, and nobody else is ended in its place", async () => {
    expect((await ami(home, on("tunnel", "-D", "0", "--background"))).code).toBe(0);
    const list = async () => JSON.parse((await ami(home, ["ssh", "tunnel", "list", "--json"])).stdout).tunnels;
    const [{ pid, log }] = await list();
    process.kill(pid, "SIGKILL");
    await until(async () => (await list())[0].state === "failed");
    // The pid now belongs to somebody else.
    const file = log.replace(/\.log$/, ".json");
    const innocent = start(home, ["ssh", "proxy", "--ssh-config", box.configFile, "box", String(port)], {
      stdin: new PassThrough(),
    });
    const record = JSON.stringify({ ...(await list())[0], mark: "long gone", pid: innocent.pid });
    await writeFile(file, record);
    expect((await ami(home, ["ssh", "tunnel", "close", "--all"])).stdout).toBe("box: had ended before\n");
    expect(innocent.exitCode).toBe(null);
    innocent.kill("SIGTERM");
    await exitOf(innocent);
  });

  it("refuses addresses that others reach, unless told, and nothing to carry", async () => {
    const refused = await ami(home, on("tunnel", "-L", `0.0.0.0:0:localhost:${port}`));
    expect(refused).toMatchObject({ code: 64, stderr: expect.stringContaining("--expose") });
    expect((await ami(home, on("tunnel"))).code).toBe(64);
    const exposed = await ami(home, on("tunnel", "-L", `0.0.0.0:0:localhost:${port}`, "--expose", "--background"));
    expect(exposed).toMatchObject({ code: 0, stderr: expect.stringContaining("warning: whoever reaches 0.0.0.0:0") });
  });

  it("ssh proxy is a ProxyCommand of OpenSSH, and passes bytes and their end", async () => {
    const sent = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 256));
    const ran = await ami(home, on("proxy", String(port)), { stdin: sent });
    expect([ran.code, ran.stderr, ran.bytes.equals(sent)]).toEqual([0, "", true]);

    const self = join(home.dir, "self");
    await writeFile(self, `#!/bin/sh\nexec ${quoteArgv([...program, ...on("proxy")])} "$@"\n`);
    await chmod(self, 0o755);
    const ssh = where("ssh") ?? "ssh";
    const words = ["-F", box.configFile, "-o", `ProxyCommand=${self} %h:%p`, "box", "echo through; exit 7"];
    const through = promisify(execFile)(ssh, words, { env: home.env });
    await expect(through).rejects.toMatchObject({ code: 7, stdout: "through\n", stderr: "" });

    const cut = start(home, on("proxy", String(port)), { stdin: new PassThrough() });
    await until(async () => (await box.connections()).length > 0);
    await until(async () => {
      for (const pid of await box.connections()) process.kill(pid, "SIGKILL");
      return cut.exitCode !== null;
    });
    expect(cut.exitCode).toBe(4);

    const nobody = await ami(home, on("proxy", "1"), { stdin: "" });
    expect(nobody).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("connection refused") });
  });
});

async function echo(port: number, word: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1" });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.end(word);
  return (await buffer(socket)).toString();
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(20)) if (await condition()) return;
  throw new Error("it did not become so within 20 s");
}
