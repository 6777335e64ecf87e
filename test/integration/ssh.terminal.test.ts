/** ssh connect in a real terminal (tmux) against a real sshd: full-screen programs, sizes, and every way out. */
import { readFile, readdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Home, inventHome, program } from "../e2e/run.ts";
import { type Terminal, openTerminal } from "../e2e/terminal.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

needs("sshd", "tmux")("a terminal on a host", () => {
  let home: Home;
  let box: Sshd;
  let terminal: Terminal | undefined;
  beforeEach(async () => {
    home = await inventHome();
    box = await startSshd();
  });
  afterEach(async () => {
    await terminal?.close();
    await box.stop();
    await home.remove();
  });

  /** Opens it; `after` is a line for the local shell once it has ended, for looking at what became of the terminal. */
  const connect = async (...words: readonly string[]): Promise<Terminal> => {
    const argv = [...program, "ssh", "connect", "--ssh-config", box.configFile, "--target", "box", ...words];
    // tmux runs an argv, and the terminal is looked at when it has ended.
    const line = '"$@"; c=$?; stty -a | grep -oE -- "-?(icanon|echo)( |$)" | tr "\\n" " "; exit $c';
    return (terminal = await openTerminal(home, ["sh", "-c", line, "sh", ...argv]));
  };
  /** As a shell between two programs wants it: lines are edited and shown. */
  const sane = /^icanon +echo *$/m;
  const sh = ["--run", "PS1='there> ' sh"] as const;

  it("runs the login shell and ends with its exit code", async () => {
    const t = await connect();
    await t.sees(/[#$>]$/m);
    await t.type("echo $((40 + 2)); exit 5\n");
    const end = await t.sees(/exit: 5/, 30);
    expect(end).toMatch(/^42$/m);
    expect(end).toMatch(sane);
  });

  it("has the size of the window, also when that changes", async () => {
    const t = await connect(...sh);
    await t.sees(/^there>/m);
    await t.type("stty size\n");
    await t.sees(/^30 100$/m);
    await t.resize(71, 17);
    // The far side learns it a moment later.
    await t.type("while [ \"$(stty size)\" != '17 71' ]; do sleep 0.1; done; echo resized\n");
    await t.sees(/^resized$/m);
    await t.type("exit\n");
    await t.sees(/exit: 0/);
  });

  it("passes Ctrl-C and Ctrl-D to the program there", async () => {
    const t = await connect(...sh);
    await t.sees(/^there>/m);
    await t.type("sh -c 'echo run\"\"ning; exec sleep 300'\n");
    await t.sees(/running$/m);
    await t.press("C-c");
    // Typed so that only the answer reads so; a prompt may stand before it.
    await t.type("echo al''ive\n");
    await t.sees(/alive$/m);
    await t.press("C-d");
    await t.sees(/exit: \d+/);
  });

  needs("vim")("with vi", () => {
    it("edits a file in vi", async () => {
      const file = join(box.dir, "note.txt");
      const t = await connect("--run", `vi -u NONE ${file}`);
      await t.sees(/^~$/m);
      await t.type("ihello ~. ünder vi");
      await t.press("Escape");
      await t.type(":wq\n");
      expect(await t.sees(/exit: 0/)).toMatch(sane);
      expect(await readFile(file, "utf8")).toBe("hello ~. ünder vi\n");
    });
  });

  needs("top")("with top", () => {
    it("draws top, and draws it anew for another size", async () => {
      const t = await connect("--run", "top -d 1");
      await t.sees(/load average/);
      await t.sees(/PID USER/);
      await t.resize(90, 20);
      await t.sees(/PID USER/);
      await t.type("q");
      expect(await t.sees(/exit: 0/)).toMatch(sane);
    });
  });

  it("is left by ~. at the beginning of a line only, and lists its keys at ~?", async () => {
    const t = await connect("--run", "stty -echo; echo ready; cat");
    await t.sees(/^ready$/m);
    await t.type("a~.\n");
    await t.sees(/^a~\.$/m);
    await t.type("~~.\n");
    await t.sees(/^~\.$/m);
    await t.type("~?");
    await t.sees(/close the connection/);
    await t.press("Enter");
    await t.type("~.");
    const end = await t.sees(/exit: 130/);
    expect(end).toContain("connection closed");
    expect(end).toMatch(sane);
  });

  it("is left by another key when the config says so", async () => {
    const config = join(home.dir, "config");
    await writeFile(config, `EscapeChar %\nInclude ${box.configFile}\n`);
    const t = await connect("--ssh-config", config, "--run", "stty -echo; echo ready; cat");
    await t.sees(/^ready$/m);
    await t.type("~.\n");
    await t.sees(/^~\.$/m);
    await t.type("%.");
    expect(await t.sees(/exit: 130/)).toMatch(sane);
  });

  needs("vim")("with vi", () => {
    it("gives the terminal back when the connection is lost in a full-screen program", async () => {
      const t = await connect("--run", "vi -u NONE");
      await t.sees(/^~$/m);
      for (const pid of await box.connections()) process.kill(pid, "SIGKILL");
      const end = await t.sees(/exit: 4/);
      expect(end).toContain("was lost");
      expect(end).toMatch(sane);
      // The screen vi drew on is gone, and what was there before is back.
      expect(end).not.toMatch(/^~$/m);
    });
  });

  it("gives the terminal back when ami-node is told to end", async () => {
    const t = await connect("--run", 'echo "client $SSH_CLIENT"; cat');
    const [, port = ""] = /client \S+ (\d+) \d+/.exec(await t.sees(/client \S+ \d+ \d+/)) ?? [];
    process.kill(await ownerOf(Number(port)), "SIGTERM");
    expect(await t.sees(/exit: 130/)).toMatch(sane);
  });
});

/** The process that holds the near end of an open TCP connection, by its port. */
async function ownerOf(port: number): Promise<number> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  // The same port may stand in other rows too: connections to other servers, long closed, that nobody holds any more.
  const sockets = (await readFile("/proc/net/tcp", "utf8"))
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${hex}`) && state === ESTABLISHED)
    .map((fields) => `socket:[${fields[9]}]`);
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const handles = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const handle of handles) {
      if (sockets.includes(await readlink(`/proc/${pid}/fd/${handle}`).catch(() => ""))) return Number(pid);
    }
  }
  throw new Error(`nobody holds port ${port}`);
}

/** The state as /proc/net/tcp writes it. */
const ESTABLISHED = "01";
