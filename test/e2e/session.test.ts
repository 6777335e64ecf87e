/** ssh session and ssh connect --resume at a real terminal: what was left is there again, also after a cut. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, ami, inventHome, program } from "./run.ts";
import { type Terminal, openTerminal } from "./terminal.ts";

/** What keeps them; and which programs are hidden from the sessions, so that it comes to that. */
const keepers = [
  ["tmux", []],
  ["screen", ["tmux"]],
  ["job", ["tmux", "screen"]],
] as const;

/** Each of these tests starts the program several times, which takes its time on a busy machine. */
const patience = 180_000;

needs(
  "sshd",
  "tmux",
  "screen",
  "script",
  "unshare",
)("terminals that wait", () => {
  let home: Home;
  beforeAll(async () => {
    home = await inventHome();
    // Whoever has to hear terminals hears these too, whatever keeps them.
    await mkdir(join(home.dir, ".config/ami-node"), { recursive: true });
    await writeFile(join(home.dir, ".config/ami-node/policy.yaml"), "rules: [{ effect: record }]\n");
  });
  const recordings = async (): Promise<string[]> => {
    const folder = join(home.dir, ".local/state/ami-node/recordings");
    return Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), "utf8")));
  };
  afterAll(() => home?.remove());

  it.concurrent.each(keepers)(
    "by %s wait when they are left, and are there again after a cut",
    async (keeper, hidden) => {
      await using place = await openPlace(hidden);
      const { box, on } = place;
      const terminal = await openTerminal(home, [...program, ...on("connect", "box", "--resume")]);
      try {
        await terminal.sees(/[#$] ?\n*/, 60);
        await line(terminal, "x=kept; echo be''gun");
        await terminal.sees(/^begun/m, 60);
        for (const pid of await box.connections()) process.kill(pid, "SIGKILL");
        await terminal.sees(/attaching again/, 60);
        // Keys typed while there is no connection are nobody's: typed until they are seen.
        for (let i = 0; ; i++) {
          await line(terminal, "echo still $x$x");
          const seen = await terminal.sees(/still keptkept/, 2).catch(() => undefined);
          if (seen !== undefined) break;
          expect(i).toBeLessThan(15);
        }
        await terminal.press("Enter");
        await terminal.type("~.");
        await terminal.sees(/exit: 130/, 60);
      } finally {
        await terminal.close();
      }
      const listed = await ami(home, on("session", "list", "box", "--json"));
      expect(JSON.parse(listed.stdout).sessions).toMatchObject([{ name: "main", by: keeper }]);
      // A terminal so new that the machine has never heard of it.
      const unheard = ["env", "TERM=xterm-unheard-of", ...program];
      const again = await openTerminal(home, [...unheard, ...on("session", "attach", "box", "main")]);
      try {
        await again.sees(/still keptkept/, 60);
        await line(again, `echo again $x by ${keeper}; exit`);
        await again.sees(/exit: 0/, 60);
      } finally {
        await again.close();
      }
      expect((await recordings()).filter((said) => said.includes(`again kept by ${keeper}`))).toHaveLength(1);
      expect((await ami(home, on("session", "list", "box"))).stdout).toBe("there are no sessions\n");
    },
    patience,
  );

  it.concurrent(
    "are made, not twice, and ended without a terminal",
    async () => {
      await using place = await openPlace([]);
      const { on } = place;
      const make = on("session", "new", "box", "build", "--detach");
      const made = await ami(home, [...make, "--json"]);
      const last = JSON.parse(made.stdout.trim().split("\n").at(-1) ?? "");
      expect([made.code, last.output ?? last]).toMatchObject([0, { hosts: [{ host: "box", by: "tmux" }] }]);
      const [again, unasked] = await Promise.all([
        ami(home, make),
        ami(home, on("session", "kill", "--target", "box", "build")),
      ]);
      expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("already") });
      expect(unasked.code).toBe(1);
      expect((await ami(home, on("session", "kill", "--target", "box", "build", "--yes"))).code).toBe(0);
      expect((await ami(home, on("session", "list", "box"))).stdout).toBe("there are no sessions\n");
    },
    patience,
  );
});

async function openPlace(
  hidden: readonly string[],
): Promise<AsyncDisposable & { readonly box: Sshd; on(...words: readonly string[]): readonly string[] }> {
  const sockets = await mkdtemp(join(tmpdir(), "ami-sess-"));
  const mounts = Object.fromEntries(hidden.map((name) => [`/usr/bin/${name}`, "/dev/null"]));
  const env = { TMUX_TMPDIR: sockets, SCREENDIR: sockets, SHELL: "/bin/sh" };
  const removed = (): Promise<void> => rm(sockets, { recursive: true, force: true });
  const box = await startSshd({ mounts, env }).catch(async (error: unknown) => {
    await removed();
    throw error;
  });
  return {
    box,
    on: (...words) => ["ssh", ...words, "--ssh-config", box.configFile],
    async [Symbol.asyncDispose]() {
      await box.stop();
      await removed();
    },
  };
}

async function line(terminal: Terminal, text: string): Promise<void> {
  await terminal.type(text);
  await terminal.press("Enter");
}
