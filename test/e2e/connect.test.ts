/** ssh connect: a login at a real terminal, with full-screen programs, a changing size, and a way out. */
import { afterAll, afterEach, beforeAll, beforeEach, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, inventHome, program } from "./run.ts";
import { type Terminal, openTerminal } from "./terminal.ts";

/** Of any shell, waiting on the last line. */
const prompt = /[#$%>] ?\n*$/;

needs("sshd", "tmux")("ssh connect at a terminal", () => {
  let home: Home;
  let box: Sshd;
  let terminal: Terminal;
  beforeAll(async () => {
    box = await startSshd();
  });
  afterAll(() => box?.stop());
  beforeEach(async () => {
    home = await inventHome();
    terminal = await openTerminal(home, [
      ...program,
      "ssh",
      "connect",
      "--ssh-config",
      box.configFile,
      "--target",
      "box",
    ]);
    await terminal.sees(prompt);
  });
  afterEach(async () => {
    await terminal.close();
    await home.remove();
  });

  const line = async (text: string): Promise<void> => {
    await terminal.type(text);
    await terminal.press("Enter");
  };

  it("is a terminal there, and passes the exit code of the login on", async () => {
    await line("tty && echo size $(stty size) on $TERM");
    await terminal.sees(/\/dev\/pts\/\d+/);
    await terminal.sees(/size 30 100 on \S+/);
    await line("exit 7");
    await terminal.sees(/exit: 7/);
  });

  it("follows a change of size", async () => {
    await line("echo ready");
    await terminal.sees(/^ready/m);
    await terminal.resize(72, 20);
    await line("echo now $(stty size)");
    await terminal.sees(/now 20 72/);
  });

  it("passes Ctrl-C to the program there and not to us", async () => {
    await line("sh -c 'echo run\"\"ning; exec sleep 1000'");
    await terminal.sees(/^running/m);
    await terminal.press("C-c");
    await line("echo still here");
    await terminal.sees(/^still here/m);
  });

  it("ends on ~. at the start of a line, leaving the terminal as it was", async () => {
    await line("echo in");
    await terminal.sees(/^in/m);
    await terminal.press("Enter");
    await terminal.type("~.");
    await terminal.sees(/exit: \d+/);
  });
});

needs(
  "sshd",
  "tmux",
  "vim",
)("ssh connect with full-screen programs", () => {
  it("draws vim and top, and clears up after them", async () => {
    const home = await inventHome();
    const box = await startSshd();
    const terminal = await openTerminal(home, [
      ...program,
      "ssh",
      "connect",
      "--ssh-config",
      box.configFile,
      "--target",
      "box",
    ]);
    const file = `${box.dir}/written`;
    try {
      await terminal.sees(prompt);
      await terminal.type(`vi -u NONE ${file}`);
      await terminal.press("Enter");
      await terminal.sees(/^~\s*$/m);
      await terminal.type("ihello from vi");
      await terminal.press("Escape");
      await terminal.type(":wq");
      await terminal.press("Enter");
      await terminal.sees(prompt);
      await terminal.type(`cat ${file}`);
      await terminal.press("Enter");
      await terminal.sees(/^hello from vi/m);
      await terminal.type("top -d 1");
      await terminal.press("Enter");
      await terminal.sees(/PID USER.*COMMAND/);
      await terminal.type("q");
      await terminal.sees(prompt);
      await terminal.type("exit");
      await terminal.press("Enter");
      await terminal.sees(/exit: 0/);
    } finally {
      await terminal.close();
      await box.stop();
      await home.remove();
    }
  });
});
