/** The terminal's door: help, usage errors and their exit codes, settings, plugins, completion. */
import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { version } from "../../src/core/version.ts";
import { needs } from "../servers/engines.ts";
import { type Home, ami, artefact, inventHome, program, root } from "./run.ts";

const run = promisify(execFile);
let home: Home;
beforeEach(async () => {
  home = await inventHome();
});
afterEach(() => home.remove());

describe("the door", () => {
  it("says its version and nothing else", async () => {
    expect(await ami(home, ["--version"])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  it("lists every group and command in its help", async () => {
    const { code, stdout, stderr } = await ami(home, ["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const word of ["ssh execute", "ssh put", "system info", "provision", "config set", "completion", "--target"]) {
      expect(stdout).toContain(word);
    }
  });

  it.skipIf(artefact === "source")("says in the built form what the source says", async () => {
    const source = { ...home.env };
    for (const page of [["--help"], ["help", "ssh", "execute"], ["help", "provision"], ["completion", "bash"]]) {
      const built = await ami(home, page);
      const { stdout } = await run(process.execPath, [join(root, "src/cli.ts"), ...page], { env: source });
      expect(built.stdout).toBe(stdout);
    }
  });

  it.each([
    ["an unknown command", ["provsion"], /provision/],
    ["an unknown verb", ["ssh", "exec"], /execute/],
    ["an unknown flag", ["provision", "--blueprnt", "x"], /--blueprint/],
    ["a missing argument", ["ssh", "put", "--target", "web1"], /FILE|file/],
    ["a wrong value", ["system", "info", "--parallel", "many"], /parallel/],
    ["an unreadable target", ["system", "info", "--target", "a b"], /a b/],
  ])("refuses %s with exit code 64 and says what would be right", async (_title, args, hint) => {
    const { code, stdout, stderr } = await ami(home, args);
    expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
    expect(stderr).toMatch(hint);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it("leaves stdout and stderr open for the next program of a script, also where they are sockets", async () => {
    // What node's own spawn calls a pipe is a socket, which any of its owners can shut down for all of them.
    const words = program.map((word) => `'${word}'`).join(" ");
    const script = `${words} config list --json; echo between; ${words} ssh execute --target local -- true; ${words} nosuch; echo after; echo end >&2`;
    const { stdout, stderr } = await run("sh", ["-c", script], { env: home.env });
    expect(stdout).toMatch(/\nbetween\nafter\n$/);
    expect(stderr).toMatch(/unknown command "nosuch"[^]*\nend\n$/);
  });

  it("keeps a secret in a sealed file, and a password flag takes it from there", async () => {
    const env = { AMI_NODE_VAULT_PASSPHRASE: "open sesame" };
    expect(await ami(home, ["config", "set", "vault.store", "file"])).toMatchObject({ code: 0 });
    expect(await ami(home, ["vault", "set", "pw"], { stdin: "hunter2\n", env })).toMatchObject({ code: 0 });
    expect(await ami(home, ["vault", "get", "pw"], { env })).toMatchObject({ code: 0, stdout: "hunter2\n" });
    const flags = ["--target", "local", "--ask-become-pass=vault:pw", "--json", "--", "echo", "hunter2"];
    const { code, stdout } = await ami(home, ["ssh", "execute", ...flags], { env });
    expect(code).toBe(0);
    expect(stdout).toContain('"title":"echo ••••••"');
  }, 60_000);

  it("keeps settings across runs", async () => {
    expect((await ami(home, ["config", "set", "parallel", "7"])).code).toBe(0);
    expect((await ami(home, ["config", "get", "parallel"])).stdout.trim()).toBe("7");
    expect(JSON.parse((await ami(home, ["config", "list", "--json"])).stdout)).toBeTruthy();
    const { stdout } = await ami(home, ["config", "path"]);
    expect(stdout.startsWith(home.dir)).toBe(true);
    expect((await ami(home, ["config", "set", "no.such", "1"])).code).toBe(64);
  });

  it("takes no settings from files in the folder it is started in", async () => {
    await writeFile(join(home.dir, ".env"), "AMI_NODE_CONFIG_DIR=/nonexistent\nNODE_OPTIONS=--inspect\n");
    await writeFile(join(home.dir, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
    await writeFile(join(home.dir, "evil.ts"), 'console.log("evil");\n');
    const { code, stdout } = await ami(home, ["config", "path"]);
    expect(code).toBe(0);
    expect(stdout.startsWith(home.dir)).toBe(true);
  });

  it("answers with programs named ami-node-NAME on PATH, passing words, output and exit code through", async () => {
    const bin = join(home.dir, "bin");
    await mkdir(bin);
    await writeFile(join(bin, "ami-node-greet"), '#!/bin/sh\necho "hello $1"\nexit 7\n');
    await chmod(join(bin, "ami-node-greet"), 0o755);
    const env = { PATH: `${bin}:${home.env.PATH ?? ""}` };
    expect(await ami(home, ["greet", "--who"], { env })).toMatchObject({ code: 7, stdout: "hello --who\n" });
    expect((await ami(home, ["plugins"], { env })).stdout).toContain("greet");
    // Node's spawn goes on with sh by itself, Bun's does not.
    await writeFile(join(bin, "ami-node-bare"), 'echo "bare $1"\nexit 8\n');
    await chmod(join(bin, "ami-node-bare"), 0o755);
    expect(await ami(home, ["bare", "--who"], { env })).toMatchObject({ code: 8, stdout: "bare --who\n" });
  });

  it("ends quietly when its reader leaves", async () => {
    const line = `${program.map((word) => `'${word}'`).join(" ")} --help | head -1`;
    const { stdout, stderr } = await run("bash", ["-o", "pipefail", "-c", line], { env: { ...home.env } });
    expect(stdout).toContain("ami-node");
    expect(stderr).toBe("");
  });
});

needs("bash")("completion in bash", () => {
  it("offers commands, verbs, flags and values", async () => {
    const bin = join(home.dir, "bin");
    await mkdir(bin);
    const start = program.map((word) => `'${word}'`).join(" ");
    await writeFile(join(bin, "ami-node"), `#!/bin/sh\nexec ${start} "$@"\n`);
    await chmod(join(bin, "ami-node"), 0o755);
    const script = `
      source <(ami-node completion bash)
      offer() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=\${#COMP_LINE}; COMPREPLY=()
        fn=$(complete -p ami-node | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $fn ami-node "\${@: -1}" "\${@: -2:1}"; echo "\${COMPREPLY[@]}"; }
      offer ami-node pro
      offer ami-node ssh ex
      offer ami-node provision --blue
    `;
    const env = { ...home.env, PATH: `${bin}:${home.env.PATH ?? ""}` };
    const { stdout } = await run("bash", ["--norc", "-c", script], { env });
    const [command, verb, flag] = stdout.split("\n").map((line) => line.trim());
    expect({ command, verb, flag }).toEqual({ command: "provision", verb: "execute", flag: "--blueprint" });
  });
});
