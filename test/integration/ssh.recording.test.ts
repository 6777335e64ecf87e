/** A recording of a terminal (tmux, a real sshd) comes to the same screen when it is played on another of that size. */
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { castText } from "../../src/core/recording/cast.ts";
import { readCast } from "../../src/core/recording/read.ts";
import { type Home, ami, inventHome, program } from "../e2e/run.ts";
import { type Terminal, openTerminal } from "../e2e/terminal.ts";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";

needs(
  "sshd",
  "tmux",
  "vim",
  "less",
  "top",
)("a recorded terminal", () => {
  let home: Home;
  let box: Sshd;
  const open: Terminal[] = [];
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  beforeEach(async () => {
    home = await inventHome();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((terminal) => terminal.close()));
    await home.remove();
  });
  const show = async (...words: readonly string[]): Promise<Terminal> => {
    const terminal = await openTerminal(home, [...program, "ssh", ...words]);
    open.push(terminal);
    return terminal;
  };
  const connect = (cast: string, ...words: readonly string[]): Promise<Terminal> =>
    show("connect", "box", "--ssh-config", box.configFile, "--quiet", `--record=${cast}`, ...words);
  /** Waits on the last line: what is typed earlier is echoed in the wrong place. */
  const prompt = /there>\s*$/;
  const sh = ["--run", "LC_ALL=C.UTF-8 PS1='there> ' sh"] as const;

  it("with vim, less, top, other sizes, Ctrl-C, Ctrl-Z, a paste of 100 KB, wide and combined characters", async () => {
    const cast = join(home.dir, "session.cast");
    const t = await connect(cast, ...sh);
    await t.sees(/^there>/m);

    const text = Array.from({ length: 1500 }, (_, i) => `${i} ${"pasted ".repeat(9)}ü\n`).join("");
    expect(Buffer.byteLength(text)).toBeGreaterThan(100_000);
    await t.type(`echo read""y; cat > ${box.dir}/pasted; echo took""it\n`);
    await t.sees(/^ready$/m);
    await t.paste(text);
    // Not on the screen: Linux keeps an echo for which it had no room until the next key.
    const wholly = async (): Promise<void> =>
      expect((await stat(join(box.dir, "pasted"))).size).toBe(Buffer.byteLength(text));
    await vi.waitFor(wholly, { timeout: 40_000, interval: 50 });
    await t.press("C-d");
    await t.sees(/^tookit$/m);
    await t.sees(prompt);
    const hash = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");
    expect(hash(await readFile(join(box.dir, "pasted")))).toBe(hash(text));

    await t.type(`vi -u NONE ${box.dir}/note; echo left''-vi\n`);
    await t.sees(/^~$/m);
    await t.type("i漢字 and é in vim");
    await t.press("Escape");
    await t.sees(/in vim/);
    await t.type(":wq\n");
    await t.sees(/^left-vi$/m);
    await t.sees(prompt);

    await t.type(`less -N ${box.dir}/pasted; echo left''-less\n`);
    await t.sees(/^\s+1 0 pasted/m);
    await t.type("/^700 \n");
    await t.sees(/^\s+701 700 pasted/m);
    await t.type("q");
    await t.sees(/^left-less$/m);
    await t.sees(prompt);

    await t.type("top -d 1; echo left''-top\n");
    await t.sees(/PID USER/);
    await t.resize(80, 20);
    await t.sees(/PID USER/);
    await t.resize(100, 30);
    await t.sees(/PID USER/);
    await t.type("q");
    await t.sees(/left-top\s*\nthere>/);
    // The terminal wraps anew what stood there before it was another size; a recording knows nothing of that.
    await t.type("while [ \"$(stty size)\" != '30 100' ]; do sleep 0.1; done; clear; echo cl''eared\n");
    await t.sees(/^cleared$/m);
    await t.sees(prompt);

    await t.type("sh -c 'echo wai\"\"ting; exec sleep 300'\n");
    await t.sees(/^waiting$/m);
    await t.press("C-c");
    await t.sees(prompt);
    await t.type('sh -c \'trap "echo resu""med" CONT; echo stop""pable; while :; do sleep 0.1; done\'\n');
    await t.sees(/^stoppable$/m);
    await t.press("C-z");
    await t.sees(/Stopped|suspended/);
    await t.sees(prompt);
    await t.type("fg\n");
    await t.sees(/^resumed$/m);
    await t.press("C-c");
    await t.sees(prompt);
    await t.type("printf '\\033[1;31m漢字 e\\314\\201 😀 \\033[44mü\\033[0m|\\n'; echo la''st\n");
    await t.sees(/^last$/m);
    await t.sees(prompt);
    await t.type("exit 0\n");
    await t.sees(/exit: 0/);
    const live = await t.picture();
    expect(live).toContain("漢字");

    expect((await stat(cast)).mode & 0o777).toBe(0o600);
    const recorded = await readCast(cast);
    expect(recorded.events.filter(({ code }) => code === "r").map(({ data }) => data)).toEqual(["80x20", "100x30"]);
    expect(recorded.events.at(-1)).toMatchObject({ code: "x", data: "0" });
    expect(recorded.events.some(({ code }) => code === "i")).toBe(false);

    const second = join(home.dir, "second.cast");
    await writeFile(second, castText(2, recorded));
    for (const file of [cast, second]) {
      const replayed = await show("replay", file, "--speed", "100");
      await replayed.sees(/exit: 0/, 60);
      expect(await replayed.picture()).toBe(live);
    }
  }, 120_000);

  it("is whole up to the moment its client was killed", async () => {
    const cast = join(home.dir, "killed.cast");
    const t = await connect(cast, "--record-input", "--run", "vi -u NONE");
    await t.sees(/^~$/m);
    await t.type("iwritten");
    await t.sees(/written/);
    // Whoever has the file open is the client; it says which process it is nowhere else.
    const pid = await holderOf(cast);
    process.kill(pid, "SIGKILL");
    await t.sees(/exit: 137/);
    const { events, torn } = await readCast(cast);
    expect(torn).toBe(false);
    const typed = events.filter(({ code }) => code === "i").map(({ data }) => data);
    expect(typed.join("")).toContain("iwritten");
    // What vi switched on is switched off again behind it.
    const replayed = await show("replay", cast, "--speed", "100");
    const end = await replayed.sees(/exit: 0/);
    expect(end).not.toMatch(/^~$/m);
    expect((await ami(home, ["ssh", "replay", cast])).stdout).toContain("written");
  });

  it("is not written over a file that is there, unless somebody says so", async () => {
    const cast = join(home.dir, "mine");
    await writeFile(cast, "mine");
    const [t, folder] = await Promise.all([connect(cast, ...sh), connect(home.dir, "--yes", ...sh)]);
    await t.sees(/replace it\?/);
    await t.type("n\n");
    await t.sees(/exit: 1/);
    expect(await readFile(cast, "utf8")).toBe("mine");
    expect(await folder.sees(/exit: 1/)).toMatch(/is there already, and is no file/);
    const yes = await connect(cast, "--yes", "--run", "echo here");
    await yes.sees(/exit: 0/);
    expect((await readCast(cast)).events.length).toBeGreaterThan(0);
  });
});

needs(
  "sshd",
  "tmux",
  "unshare",
)("a recording for which there is no room", () => {
  let home: Home;
  let box: Sshd;
  let terminal: Terminal | undefined;
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  beforeEach(async () => {
    home = await inventHome();
    await mkdir(join(home.dir, "small"));
  });
  afterEach(async () => {
    await terminal?.close();
    await home.remove();
  });
  /** In a file system of 16 KiB of its own. */
  const connect = async (...words: readonly string[]): Promise<Terminal> => {
    const mount = 'mount -t tmpfs -o size=16k none small && exec "$@"';
    const line = ["unshare", "--mount", "sh", "-c", mount, "sh", ...program, "ssh", "connect", "box"];
    const config = ["--ssh-config", box.configFile, "--run", "seq 20000; echo all of it"];
    return (terminal = await openTerminal(home, [...line, ...config, ...words]));
  };

  it("is told, and goes without", async () => {
    const t = await connect("--record=small/a.cast");
    const end = await t.sees(/exit: 0/);
    expect(end).toContain("all of it");
    expect(end).toMatch(/breaks off: no space left/);
  });

  it("ends the terminal where the policy asks for it", async () => {
    const folder = join(home.dir, ".config/ami-node");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "policy.yaml"), "rules: [{ effect: record }]");
    const state = join(home.dir, ".local/state/ami-node");
    await mkdir(state, { recursive: true });
    await symlink(join(home.dir, "small"), join(state, "recordings"));
    // Also where the user records for themselves, in a place with room.
    const t = await connect("--record=own.cast");
    expect(await t.sees(/exit: 1$/m)).toMatch(/breaks off: no space left/);
  });
});

needs("tmux")("a recording is played", () => {
  let home: Home;
  let terminal: Terminal;
  beforeEach(async () => {
    home = await inventHome();
    // One letter every 20 s, a to j.
    const events = Array.from("abcdefghij", (data, i) => ({ at: 20_000 * (i + 1), code: "o", data }));
    const cast = { version: 3, columns: 80, rows: 24, torn: false, events } as const;
    await writeFile(join(home.dir, "slow.cast"), castText(3, cast));
  });
  afterEach(async () => {
    await terminal.close();
    await home.remove();
  });

  it("forwards, backwards, step by step and to its end", async () => {
    terminal = await openTerminal(home, [...program, "ssh", "replay", "slow.cast", "--from", "70s"]);
    await terminal.sees(/^abc$/m);
    await terminal.press("Up");
    await terminal.sees(/^abcdef$/m);
    await terminal.press("Space");
    await terminal.type(".");
    await terminal.sees(/^abcdefg$/m);
    await terminal.press("Down");
    await terminal.sees(/^abcd$/m);
    await terminal.press("Left");
    await terminal.sees(/^abc$/m);
    await terminal.press("Right");
    await terminal.sees(/^abcd$/m);
    await terminal.type("q");
    await terminal.sees(/exit: 0/);
  });

  it("without silences, to a place, and is ended by Ctrl-C", async () => {
    const limits = ["--idle-limit", "100ms", "--to", "500ms"];
    terminal = await openTerminal(home, [...program, "ssh", "replay", "slow.cast", ...limits]);
    expect(await terminal.sees(/exit: 0/)).toMatch(/^abcde$/m);
    await terminal.close();
    terminal = await openTerminal(home, [...program, "ssh", "replay", "slow.cast", "--from", "20s"]);
    await terminal.sees(/^a$/m);
    await terminal.press("C-c");
    await terminal.sees(/exit: 130/);
  });
});

/** The one process that has a file open. */
async function holderOf(file: string): Promise<number> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => []))
      if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")) === file) return Number(pid);
  }
  throw new Error(`nobody has ${file} open`);
}
