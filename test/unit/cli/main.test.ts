/** Main: from words to an exit code, in this process, with an invented home. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { main } from "../../../src/cli/main.ts";
import { version } from "../../../src/core/version.ts";
import { fakeTerminal } from "../ui/streams.ts";

let home = "";
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ami-main-"));
  vi.stubEnv("AMI_NODE_CONFIG_DIR", home);
  vi.stubEnv("PATH", `${join(home, "bin")}:${process.env["PATH"] ?? ""}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true, force: true });
});

async function say(line: string, isTTY = false): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [fakeTerminal(80, 24, isTTY), fakeTerminal(80, 24, isTTY)];
  const code = await main(line === "" ? [] : line.split(" "), {
    stdio: { stdin: process.stdin, stdout: stdout.stream, stderr: stderr.stream },
    env: process.env,
    signal: new AbortController().signal,
    interrupt: () => {},
    hasReaderLeft: () => false,
  });
  return { code, stdout: stdout.written(), stderr: stderr.written() };
}

async function plugin(name: string, script: string): Promise<void> {
  await mkdir(join(home, "bin"), { recursive: true });
  await writeFile(join(home, "bin", `ami-node-${name}`), `#!/bin/sh\n${script}\n`);
  await chmod(join(home, "bin", `ami-node-${name}`), 0o755);
}

describe("help", () => {
  it.each(["", "--help", "-h", "help", "--json --help"])("%j is the first page", async (line) => {
    const { code, stdout, stderr } = await say(line);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Usage: ami-node [global flags] <command>");
  });

  it.each(["ssh", "ssh --help", "help ssh", "ssh -h", "--target web1 ssh", "ssh help"])(
    "%j is the page of the group",
    async (line) => {
      const { code, stdout } = await say(line);
      expect(code).toBe(0);
      expect(stdout).toContain("Usage: ami-node ssh <verb>");
    },
  );

  it.each([
    "ssh execute --help",
    "help ssh execute",
    "help ssh execute --help",
    "ssh --help execute",
    "ssh help execute",
  ])("%j is the page of the command or its group", async (line) => {
    const { code, stdout } = await say(line);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Usage: ami-node ssh (execute|<verb>)/);
  });

  it.each(["--version", "-V", "--json --version", "--target web1 -V"])("%s is the version", async (line) => {
    expect(await say(line)).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});

describe("words nobody knows", () => {
  it.each([
    ["provsion", 'unknown command "provsion"', "did you mean ami-node provision?"],
    ["zzz", 'unknown command "zzz"', "list them all with: ami-node --help"],
    ["ssh exceute", 'ssh has no verb "exceute"', "did you mean ami-node ssh execute?"],
    ["ssh zzz", 'ssh has no verb "zzz"', "it has: "],
    ["help provsion", 'unknown command "provsion"', "did you mean ami-node provision?"],
    ["help ssh zzz", 'ssh has no verb "zzz"', "it has: "],
    ["--jsn ssh", "unknown flag --jsn", "did you mean --json?"],
    ["--json=yes ssh", "--json takes no value", ""],
    ["config list --json=yes", "--json takes no value", "see ami-node config list --help"],
    ["config get", "missing <KEY>", "see ami-node config get --help"],
    ["completion", "missing <shell>", "see ami-node completion --help"],
    [
      "provision blueprints/hello.yaml",
      "too many words: blueprints/hello.yaml",
      "did you mean --blueprint blueprints/hello.yaml?",
    ],
    ["--become nobody ssh execute id", 'unknown command "nobody"', "a user is named with =, as in --become=nobody"],
    ["config get paralel", 'KEY: "paralel" is not known; did you mean parallel?', "see ami-node config get --help"],
  ])("%j is refused with 64", async (line, message, hint) => {
    const { code, stdout, stderr } = await say(line);
    expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
    expect(stderr).toContain(hint === "" ? `error: ${message}\n` : `error: ${message}\n  hint: ${hint}`);
  });

  it.each([
    ["execute", "did you mean ami-node ssh execute?"],
    ["exceute uptime", "did you mean ami-node ssh execute?"],
    ["gret", "did you mean ami-node greet?"],
    ["gret --help", "did you mean ami-node greet?"],
    ["zget", "did you mean ami-node get?"],
  ])("may be a verb without its group, or nearly a plugin: %j", async (line, hint) => {
    await plugin("greet", "exit 0");
    if (line === "zget") await plugin("get", "exit 0");
    const { code, stderr } = await say(line);
    expect(code).toBe(64);
    expect(stderr).toContain(`hint: ${hint}`);
  });

  it("are told in JSON too when JSON is asked for", async () => {
    const { code, stdout } = await say("provsion --json");
    expect(code).toBe(64);
    expect(JSON.parse(stdout)).toMatchObject({
      kind: "result",
      exit: 64,
      error: { code: "usage.command", retry: "no" },
    });
  });
});

describe("a command that answers", () => {
  it("prints one document, or one JSON value", async () => {
    expect(await say("config path")).toEqual({ code: 0, stdout: `${join(home, "config.json")}\n`, stderr: "" });
    const { stdout } = await say("config path --json");
    expect(JSON.parse(stdout)).toEqual({ path: join(home, "config.json") });
    expect(stdout.trim().split("\n")).toHaveLength(1);
  });

  it("prints why it cannot, to stderr for people and to stdout for programs", async () => {
    await writeFile(join(home, "config.json"), "{");
    const { code, stdout, stderr } = await say("config list --json");
    expect(code).toBe(64);
    expect(JSON.parse(stdout)).toMatchObject({ kind: "result", exit: 64, error: { code: "config.invalid" } });
    expect(stderr).toContain("is not JSON");
  });

  it("keeps settings, and says when one is not set by its exit code", async () => {
    expect(await say("config get parallel")).toEqual({ code: 1, stdout: "", stderr: "" });
    expect((await say("config set parallel 7")).stdout).toBe("parallel = 7\n");
    expect((await say("config get parallel")).stdout).toBe("7\n");
    expect((await say("config list")).stdout).toMatch(/^parallel +7 +targets worked on at once$/m);
    expect((await say("config unset parallel")).stdout).toBe("parallel is not set any more\n");
    expect((await say("config unset parallel")).stdout).toBe("parallel was not set\n");
    expect((await say("config set parallel no")).code).toBe(64);
  });

  it("can be run though a setting is wrong, and says that it is", async () => {
    await writeFile(join(home, "config.json"), '{"color":"blue"}');
    const { code, stdout, stderr } = await say("config unset color");
    expect(code).toBe(0);
    expect(stdout).toBe("color is not set any more\n");
    expect(stderr).toContain("warning:");
    expect(stderr).toContain("must be one of auto, always, never");
    expect((await say("config list")).stderr).toBe("");
  });

  it("says once what is wrong with the settings, and nothing of it where they do not matter", async () => {
    await writeFile(join(home, "config.json"), "[]");
    for (const line of ["config set color never", "ssh execute --target local true", "config list"]) {
      const { code, stderr } = await say(line);
      expect(code).toBe(64);
      expect(stderr.match(/config\.json/g), line).toHaveLength(1);
    }
    expect(await say("completion bash")).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("a command that needs targets", () => {
  it("says how to name one", async () => {
    const { code, stderr } = await say("ssh execute true");
    expect(code).toBe(64);
    expect(stderr).toContain("ami-node config set default.target");
  });

  it.each(["ssh execute --target= true", "ssh execute --target , true", "provision --blueprint x --target="])(
    "is not content with %j",
    async (line) => {
      await writeFile(join(home, "config.json"), '{"default":{"target":"local"}}');
      const { code, stderr } = await say(line);
      expect(code).toBe(64);
      expect(stderr).toContain("--target names nothing");
    },
  );

  it("takes the one of the settings, names of the inventory, and runs there", async () => {
    await writeFile(join(home, "nodes.yaml"), "nodes:\n  here: local\n");
    await say("config set default.target here");
    expect(await say("ssh execute -- echo hello")).toEqual({ code: 0, stdout: "hello\n", stderr: "" });
    expect((await say("ssh execute --target nosuch,@group -- echo hello")).stderr).toContain("@group");
  });

  it("prints its events as JSON lines, the last of kind result", async () => {
    const { code, stdout } = await say("ssh execute --json --target local -- false");
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(code).toBe(1);
    expect(events.at(-1)).toMatchObject({ kind: "result", exit: 1 });
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  });

  it("leaves a line in the log", async () => {
    await say("ssh execute --target local -- false");
    const lines = (await readFile(join(home, "ami-node.log"), "utf8")).trim().split("\n");
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      kind: "command",
      command: "ssh execute",
      targets: ["local"],
      exit: 1,
    });
  });
});

describe("a plugin", () => {
  it("answers with its own exit code", async () => {
    await plugin("greet", 'test "$*" = "a --json b" && exit 9');
    expect((await say("greet a --json b")).code).toBe(9);
  });

  it("is asked for its help by help", async () => {
    await plugin("greet", 'test "$*" = --help && exit 8');
    expect((await say("help greet")).code).toBe(8);
  });

  it("that dies of a signal ends as shells say it", async () => {
    await plugin("greet", "kill -TERM $$");
    expect((await say("greet")).code).toBe(143);
  });

  it("takes no flags of ours before its name", async () => {
    await plugin("greet", "exit 0");
    const { code, stderr } = await say("--json greet");
    expect(code).toBe(64);
    expect(stderr).toContain("stand after its name");
  });

  it("never replaces a built-in, and the list says so", async () => {
    await plugin("config", "exit 9");
    await plugin("greet", "exit 0");
    expect((await say("config path")).code).toBe(0);
    const { stdout } = await say("plugins");
    expect(stdout).toMatch(/^config .*hidden by the built-in command config/m);
    expect(stdout).toMatch(/^greet /m);
  });

  it("without a first line is one for sh, as shells have it", async () => {
    await plugin("greet", "");
    await writeFile(join(home, "bin/ami-node-greet"), 'test "$*" = "a b" && exit 7\n');
    expect((await say("greet a b")).code).toBe(7);
  });

  it("that cannot be started is told", async () => {
    await plugin("greet", "");
    await writeFile(join(home, "bin/ami-node-greet"), "#!/no/such/interpreter\n");
    const { code, stderr } = await say("greet");
    expect(code).toBe(6);
    expect(stderr).toContain("ami-node-greet could not be started: the program of its first line (#!) is missing");
  });
});
