/** Connections that break: what is done again, and what is not. The server is real, and what lies between can be cut. */
import { readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { Host } from "../../src/core/host.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

needs("sshd", "posix")("when a connection breaks", () => {
  let box: Sshd;
  let relay: Relay;
  let configFile: string;
  let hosts: OpenHosts;
  beforeAll(async () => {
    box = await startSshd();
    relay = await startRelay(box.port);
    configFile = join(box.dir, "relayed");
    const text = (await readFile(box.configFile, "utf8")).replace(
      /Port \d+/,
      `Port ${relay.port}\n  HostKeyAlias known`,
    );
    const keys = (await readFile(box.knownHosts, "utf8")).replaceAll(/^\S+/gm, "known");
    await writeFile(box.knownHosts, keys);
    await writeFile(configFile, text);
  });
  afterAll(async () => {
    await relay?.stop();
    await box?.stop();
  });
  beforeEach(() => {
    hosts = openHosts({ ssh: { configFile, env: {} } });
  });
  afterEach(async () => {
    await hosts.close();
    await relay.open();
  });
  const open = (from = hosts): Promise<Host> =>
    from.open({ kind: "ssh", name: "box", host: "box", vars: {}, groups: [] });
  const lines = async (file: string): Promise<number> =>
    (await readFile(file, "utf8").catch(() => "")).split("\n").length - 1;
  /** Says which time it is; the first time it never ends. */
  const counting = (file: string): readonly [string, ...string[]] => [
    "sh",
    "-c",
    `echo x >> "$1"; n=$(wc -l < "$1"); [ "$n" -gt 1 ] || exec sleep 300; echo "$n"`,
    "sh",
    file,
  ];

  it("a login that has worked is tried again until the server is back", async () => {
    const host = await open();
    await relay.close();
    const again = host.exec(["echo", "back"]);
    again.catch(() => undefined); // looked at below
    await sleep(300);
    await relay.open();
    expect((await again).stdout.toString()).toBe("back\n");
  });

  it("one that never has worked fails at once, and one that does not come back in the end", async () => {
    const host = await open();
    await relay.close();
    const own = openHosts({ ssh: { configFile, env: {} } });
    await expect(open(own)).rejects.toMatchObject({ code: "ssh.connect", retry: "yes" });
    await own.close();
    await expect(host.exec(["true"])).rejects.toMatchObject({ code: "ssh.connect", retry: "yes" });
    // Who has lost patience may go before that.
    const control = new AbortController();
    const waiting = host.exec(["true"], { signal: control.signal });
    control.abort();
    await expect(waiting).rejects.toMatchObject({ code: "run.cancelled" });
  });

  it("what may have run is not run again, and nobody knows how it ended", async () => {
    const file = join(box.dir, "once");
    const running = (await open()).exec(counting(file));
    running.catch(() => undefined); // looked at below
    while ((await lines(file)) < 1) await sleep(20);
    relay.cut();
    await expect(running).rejects.toMatchObject({ code: "ssh.lost", retry: "unknown" });
    expect((await (await open()).exec(["echo", "next"])).stdout.toString()).toBe("next\n");
    expect(await lines(file)).toBe(1);
  });

  it("what only looks is run again, but not for ever", async () => {
    const file = join(box.dir, "twice");
    const host = await open();
    const looking = host.exec(counting(file), { onlyLooks: true });
    while ((await lines(file)) < 1) await sleep(20);
    relay.cut();
    expect((await looking).stdout.toString().trim()).toBe("2");

    const never = join(box.dir, "never");
    const argv = ["sh", "-c", `echo x >> "$1"; exec sleep 300`, "sh", never] as const;
    const cutting = host.exec([...argv], { onlyLooks: true });
    cutting.catch(() => undefined); // looked at below
    for (let times = 1; times <= 3; times++) {
      while ((await lines(never)) < times) await sleep(20);
      relay.cut();
    }
    await expect(cutting).rejects.toMatchObject({ code: "ssh.lost", retry: "unknown" });
    expect(await lines(never)).toBe(3);
  });
});

interface Relay {
  readonly port: number;
  /** Breaks what goes through it now. */
  cut(): void;
  /** And refuses what comes. */
  close(): Promise<void>;
  open(): Promise<void>;
  stop(): Promise<void>;
}

async function startRelay(to: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let port = 0;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const close = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    cut();
    if (closing !== undefined) await new Promise<void>((resolve) => closing.close(() => resolve()));
  };
  const open = async (): Promise<void> => {
    if (server !== undefined) return;
    const opening = createServer((here) => {
      const there = connect(to, "127.0.0.1");
      for (const [socket, other] of [
        [here, there],
        [there, here],
      ] as const) {
        sockets.add(socket);
        socket
          .on("error", () => undefined)
          .once("close", () => {
            sockets.delete(socket);
            other.destroy();
          });
      }
      here.pipe(there).pipe(here);
    });
    await new Promise<void>((resolve, reject) => opening.once("error", reject).listen(port, "127.0.0.1", resolve));
    port = (opening.address() as AddressInfo).port;
    server = opening;
  };
  await open();
  return { port, cut, close, open, stop: close };
}
