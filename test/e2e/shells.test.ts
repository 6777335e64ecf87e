/** Completion as shells really do it: the script is sourced, a line is typed, the key is pressed. */
import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { quoteArgv } from "../../src/core/argv.ts";
import { needs } from "../servers/engines.ts";
import { type Home, inventHome, program } from "./run.ts";
import { type Terminal, openTerminal } from "./terminal.ts";

const run = promisify(execFile);
let invented: Home;
let home: Home;

beforeEach(async () => {
  invented = await inventHome();
  const bin = join(invented.dir, "bin");
  await mkdir(bin);
  await writeFile(join(bin, "ami-node"), `#!/bin/sh\nexec ${quoteArgv(program)} "$@"\n`);
  await chmod(join(bin, "ami-node"), 0o755);
  await mkdir(join(invented.dir, ".ssh"));
  await writeFile(join(invented.dir, ".ssh/config"), "Host jumphost\n");
  await writeFile(join(invented.dir, "web.yaml"), "resources: []\n");
  home = { ...invented, env: { ...invented.env, PATH: `${bin}:${invented.env["PATH"] ?? ""}` } };
});
afterEach(() => invented.remove());

/** Types and presses Tab until the line is as wanted. */
async function completes(terminal: Terminal, typed: string, line: RegExp): Promise<void> {
  await terminal.type(typed);
  await terminal.press("Tab");
  await terminal.sees(line);
}

needs("bash", "tmux")("bash", () => {
  it("completes verbs, flags, targets behind = and commas, and files", async () => {
    const terminal = await openTerminal(home, ["bash", "--norc"]);
    try {
      await terminal.type("PS1='$ '; source <(ami-node completion bash); echo rea''dy");
      await terminal.press("Enter");
      await terminal.sees(/^ready/m);
      await completes(terminal, "ami-node ss", /\$ ami-node ssh *$/m);
      await completes(terminal, "exe", /ssh execute *$/m);
      await completes(terminal, "--target=jum", /--target=jumphost/m);
      await terminal.press("BSpace");
      await completes(terminal, ",loc", /--target=jumphost,local/m);
      await terminal.press("C-u");
      await completes(terminal, "ami-node provision --blueprint we", /--blueprint web\.yaml/m);
    } finally {
      await terminal.close();
    }
  });
});

needs("zsh", "tmux")("zsh", () => {
  it("completes verbs, flags, targets and files, and says what they mean", async () => {
    const terminal = await openTerminal(home, ["zsh", "-f"]);
    try {
      await terminal.type(
        "PS1='$ '; autoload -U compinit; compinit -u; source <(ami-node completion zsh); echo rea''dy",
      );
      await terminal.press("Enter");
      await terminal.sees(/^ready/m);
      await completes(terminal, "ami-node ssh exe", /ssh execute *$/m);
      await completes(terminal, "--target jum", /--target jumphost/m);
      await terminal.press("C-u");
      await completes(terminal, "ami-node provision --blueprint we", /--blueprint web\.yaml/m);
      await terminal.press("C-u");
      await completes(terminal, "ami-node config ", /unset +-- Forget a setting/);
    } finally {
      await terminal.close();
    }
  });
});

needs("fish")("fish", () => {
  it("completes verbs, flags, targets and files, and says what they mean", async () => {
    const ask = (line: string): string => `complete -C ${quoteArgv([line])}; echo ===;`;
    const lines = [
      "ami-node ssh exe",
      "ami-node ssh execute --target jum",
      "ami-node provision --blueprint we",
      "ami-node conf",
    ];
    const script = `ami-node completion fish | source; ${lines.map(ask).join(" ")}`;
    const { stdout } = await run("fish", ["--no-config", "-c", script], { env: { ...home.env }, cwd: home.dir });
    const [verb, target, file, group] = stdout.split("===\n");
    expect(verb).toBe("execute\tRun a command on every target\n");
    expect(target).toBe("jumphost\n");
    expect(file).toMatch(/^web\.yaml/);
    expect(group).toBe("config\tsettings of ami-node itself\n");
  });
});
