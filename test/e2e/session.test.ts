/** ssh session and ssh connect --resume at a real terminal: what was left is there again, also after a cut. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, ami, inventHome, program } from "./run.ts";
import { type Terminal, openTerminal } from "./terminal.ts";

/** What keeps them; where it is to be screen, or neither of both, the others are hidden from the sessions. */
const keepers = [
  ["tmux", "tmux"],
  ["screen", "screen"],
  ["job", "script"],
] as const;

/** Each of these tests starts the program several times, which takes its time on a busy machine. */
const patience = 180_000;

for (const [keeper, engine] of keepers) {
  needs(
    "sshd",
    "tmux",
    "unshare",
    engine,
  )(`terminals kept by ${keeper}`, () => {
    let home: Home;
    let box: Sshd;
    let sockets: string;
    beforeAll(async () => {
      sockets = await mkdtemp(join(tmpdir(), "ami-sess-"));
      const hidden = { tmux: [], screen: ["tmux"], job: ["tmux", "screen"] }[keeper];
      const mounts = Object.fromEntries(hidden.map((name) => [`/usr/bin/${name}`, "/dev/null"]));
      const env = { TMUX_TMPDIR: sockets, SCREENDIR: sockets, SHELL: "/bin/sh" };
      [home, box] = await Promise.all([inventHome(), startSshd({ mounts, env })]);
    });
    afterAll(async () => {
      await box?.stop();
      await home?.remove();
      await rm(sockets, { recursive: true, force: true });
    });
    const on = (...words: readonly string[]): readonly string[] => ["ssh", ...words, "--ssh-config", box.configFile];
    const line = async (terminal: Terminal, text: string): Promise<void> => {
      await terminal.type(text);
      await terminal.press("Enter");
    };

    it(
      "wait when they are left, and are there again after a cut",
      async () => {
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
        // Whoever has to hear terminals hears this one too.
        await mkdir(join(home.dir, ".config/ami-node"), { recursive: true });
        await writeFile(join(home.dir, ".config/ami-node/policy.yaml"), "rules: [{ effect: record }]\n");
        const again = await openTerminal(home, [...program, ...on("session", "attach", "box", "main")]);
        try {
          await again.sees(/still keptkept/, 60);
          await line(again, "echo again $x; exit");
          await again.sees(/exit: 0/, 60);
        } finally {
          await again.close();
        }
        const recordings = join(home.dir, ".local/state/ami-node/recordings");
        const [recording = "", ...others] = await readdir(recordings);
        expect(others).toEqual([]);
        expect(await readFile(join(recordings, recording), "utf8")).toContain("again kept");
        await rm(join(home.dir, ".config/ami-node/policy.yaml"));
        expect((await ami(home, on("session", "list", "box"))).stdout).toBe("there are no sessions\n");
      },
      patience,
    );

    it.runIf(keeper === "tmux")(
      "are made, not twice, and ended without a terminal",
      async () => {
        const make = on("session", "new", "box", "build", "--detach");
        const made = await ami(home, [...make, "--json"]);
        const last = JSON.parse(made.stdout.trim().split("\n").at(-1) ?? "");
        expect([made.code, last.output ?? last]).toMatchObject([0, { hosts: [{ host: "box", by: "tmux" }] }]);
        expect(await ami(home, make)).toMatchObject({ code: 1, stderr: expect.stringContaining("already") });
        expect((await ami(home, on("session", "kill", "--target", "box", "build"))).code).toBe(1);
        expect((await ami(home, on("session", "kill", "--target", "box", "build", "--yes"))).code).toBe(0);
        expect((await ami(home, on("session", "list", "box"))).stdout).toBe("there are no sessions\n");
      },
      patience,
    );
  });
}
