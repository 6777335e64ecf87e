/**
 * Probes of packages, units, accounts, shell lines and directories, asked for real: the programs the engine sends, run
 * by dash, bash and busybox ash, the last with busybox's programs only.
 */
import { execFileSync, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { arch, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Answers, ProbeKind, ProbeOf } from "../../src/core/facts.ts";
import { observeProgram } from "../../src/core/provision/dialects/sh.ts";
import { createFrames } from "../../src/core/provision/frames.ts";
import { loadProbe } from "../../src/core/provision/probes/probe.ts";
import { has, needs, where, type Engine } from "../servers/engines.ts";

let dir: string;
const path = (...names: string[]): string => join(dir, ...names);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-probes-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Shell {
  readonly argv: readonly [string, ...string[]];
  readonly env: Record<string, string>;
}

async function ask<K extends ProbeKind>(
  shell: Shell,
  kind: K,
  probes: readonly ProbeOf<K>[],
): Promise<readonly Answers[K][]> {
  const compiler = await loadProbe(kind);
  const child = spawn(shell.argv[0], shell.argv.slice(1), { env: shell.env, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(observeProgram("n0nce", [{ name: kind, sh: compiler.sh(probes) }], { os: false }));
  const frames = createFrames("n0nce").push(await buffer(child.stdout));
  expect(frames.map((frame) => frame.word)).toEqual([kind, "end"]);
  return compiler.parse(frames[0]?.body ?? Buffer.alloc(0), probes) as readonly Answers[K][];
}

/** A folder whose programs are all busybox, and those of `extra` the machine's own. Made once. */
async function userland(extra: readonly string[]): Promise<string> {
  const folder = path(["busybox", ...extra].join("-"));
  if (existsSync(folder)) return folder;
  await mkdir(folder);
  const busybox = where("busybox") ?? "";
  const applets = execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n");
  for (const applet of applets) if (!extra.includes(applet)) await symlink(busybox, join(folder, applet));
  for (const program of extra) await symlink(where(program) ?? "", join(folder, program));
  return folder;
}

const machine = { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`, HOME: "/" };
const shells: readonly { readonly name: Engine; readonly open: (extra?: readonly string[]) => Promise<Shell> }[] = [
  { name: "dash", open: async () => ({ argv: ["dash"], env: machine }) },
  { name: "bash", open: async () => ({ argv: ["bash"], env: machine }) },
  {
    name: "busybox",
    open: async (extra = []) => {
      const folder = await userland(extra);
      return { argv: [where("busybox") ?? "busybox", "ash"], env: { PATH: folder, HOME: "/" } };
    },
  },
];

for (const { name, open } of shells) {
  needs(name)(`probes in ${name}`, () => {
    describe("shell", () => {
      const codes = async (lines: readonly string[], cwd?: string): Promise<number[]> => {
        const probes = lines.map((line) => ({ kind: "shell", line, ...(cwd === undefined ? {} : { cwd }) }) as const);
        return (await ask(await open(), "shell", probes)).map((answer) => answer.code);
      };

      it("gives the exit code of each line, whatever the others do", async () => {
        const lines = [
          "true",
          "exit 3; true",
          "false",
          "no-such-program",
          "cd / && [ -d etc ]",
          "x='a b'; [ \"$x\" = 'a b' ]",
          "echo noise; echo noise >&2; exit 255",
          "false\ntrue",
        ];
        expect(await codes(lines)).toEqual([0, 3, 1, 127, 0, 0, 255, 0]);
      });

      it("a line that does not parse, leaves the shell or unsets everything spoils only itself", async () => {
        const [broken, ...others] = await codes([
          "if then (",
          "exec true",
          "set -eu; exit 0",
          "unset PATH; exit 4",
          "true",
        ]);
        expect(broken).not.toBe(0);
        expect(others).toEqual([0, 0, 4, 0]);
      });

      it("a line that reads stdin gets nothing, and not the rest of the program", async () => {
        expect(await codes(["read -r x", '[ -z "$(cat)" ]'])).toEqual([1, 0]);
      });

      it("runs in its directory; one that is not there fails the line", async () => {
        await mkdir(path("cwd it's"), { recursive: true });
        expect(await codes([`[ "\${PWD##*/}" = "cwd it's" ]`], path("cwd it's"))).toEqual([0]);
        expect(await codes(["true"], path("nowhere"))).not.toEqual([0]);
      });

      it("has the user's own umask and locale, not ours", async () => {
        const shell = await open();
        const probes = [{ kind: "shell", line: '[ "$(umask)" = 0027 ] && [ "${LC_ALL-none}" = C.UTF-8 ]' } as const];
        const env = { ...shell.env, LC_ALL: "C.UTF-8" };
        const inUmask: Shell = { argv: ["sh", "-c", 'umask 027; exec "$@"', "sh", ...shell.argv], env };
        // busybox has no sh but its own; spawn looks for the first one in our PATH.
        expect((await ask(inUmask, "shell", probes)).map((a) => a.code)).toEqual([0]);
      });
    });

    describe("entries", () => {
      it("tells empty directories from those that hold anything, however it is named", async () => {
        const make = async (folder: string, file?: string): Promise<string> => {
          await mkdir(path(`entries-${name}`, folder), { recursive: true });
          if (file !== undefined) await writeFile(path(`entries-${name}`, folder, file), "");
          return path(`entries-${name}`, folder);
        };
        const cases: [string, boolean][] = [
          [await make("empty"), true],
          [await make("plain", "a"), false],
          [await make("hidden", ".a"), false],
          [await make("dots", "..a"), false],
          [await make("star", "*"), false],
          [await make("na me*[x]?"), true],
          [await make("na me*[x]?2", "it's"), false],
          [await make("newline", "a\nb"), false],
          [await make("dash", "-n"), false],
          [path(`entries-${name}`, "nowhere"), true],
        ];
        await mkdir(path(`entries-${name}`, "dangling"), { recursive: true });
        await symlink("nowhere", path(`entries-${name}`, "dangling", "l"));
        cases.push([path(`entries-${name}`, "dangling"), false]);
        const answers = await ask(
          await open(),
          "entries",
          cases.map(([p]) => ({ kind: "entries", path: p }) as const),
        );
        expect(answers).toEqual(cases.map(([, empty]) => ({ empty })));
      });

      needs("setpriv")("as somebody without rights", () => {
        it("a directory that may not be looked into counts as not empty", async () => {
          await mkdir(path("locked"), { recursive: true });
          await chmod(path("locked"), 0o000);
          await chmod(dir, 0o755);
          const shell = await open();
          const as =
            process.getuid?.() === 0
              ? [where("setpriv") ?? "", "--reuid=65534", "--regid=65534", "--clear-groups"]
              : [];
          const [program = "", ...rest] = [...as, ...shell.argv];
          const answers = await ask({ argv: [program, ...rest], env: shell.env }, "entries", [
            { kind: "entries", path: path("locked") },
          ]);
          await chmod(path("locked"), 0o700);
          expect(answers).toEqual([{ empty: false }]);
        });
      });
    });

    describe("user and group", () => {
      it("tell what this machine knows of us, and nothing of nobody", async () => {
        const me = userInfo();
        const [own, none, pattern, option, number] = await ask(await open(), "user", [
          { kind: "user", name: me.username },
          { kind: "user", name: "no-such-user" },
          { kind: "user", name: `${me.username.slice(0, -1)}.` },
          { kind: "user", name: "--help" },
          { kind: "user", name: "0" },
        ]);
        expect(own).toMatchObject({ uid: me.uid, gid: me.gid, home: me.homedir, shell: me.shell });
        const groups = execFileSync("id", ["-Gn", me.username], { encoding: "utf8" }).trim().split(" ");
        expect(new Set([own?.group, ...(own?.groups ?? [])])).toEqual(new Set(groups));
        expect([none, pattern, option, number]).toEqual([undefined, undefined, undefined, undefined]);
      });

      it("tell number and members of groups", async () => {
        const lines = (await readFile("/etc/group", "utf8"))
          .trim()
          .split("\n")
          .map((line) => line.split(":"))
          // Accounts of other tests come and go meanwhile.
          .filter(([group = ""]) => !/^amit\d/.test(group));
        const names = lines.map(([group = ""]) => group);
        const answers = await ask(
          await open(),
          "group",
          [...names, "no-such-group"].map((group) => ({ kind: "group", name: group }) as const),
        );
        const expected = lines.map(([, , gid, members = ""]) => ({
          gid: Number(gid),
          members: members
            .split(",")
            .filter((m) => m !== "")
            .toSorted(),
        }));
        expect(answers).toEqual([...expected, undefined]);
      });
    });

    describe("unit", () => {
      it.runIf(!existsSync("/run/systemd/system"))(
        "has no manager where systemd is installed but does not run",
        async () => {
          expect(await ask(await open(), "unit", [{ kind: "unit", name: "ssh.service" }])).toEqual([
            { manager: undefined },
          ]);
        },
      );
    });

    describe("package", () => {
      needs("apt")("with apt", () => {
        it("reads dpkg's database and apt's lists", async () => {
          const apt = await aptWorld(name);
          const shell = await open(["dpkg-query", "apt-get", "apt-cache"]);
          const names = ["here", "held", "removed", "virtual", "both", "newone", "nignx", "here:i386", "-x", "he*"];
          const answers = await ask(
            { ...shell, env: { ...shell.env, ...apt } },
            "package",
            names.map((one) => ({ kind: "package", name: one }) as const),
          );
          expect(answers).toEqual([
            { manager: "apt", installed: true, version: "1:1.0-1" },
            { manager: "apt", installed: true, version: "2" },
            { manager: "apt", installed: false, known: false },
            { manager: "apt", installed: true, version: "3", providedBy: "provider" },
            { manager: "apt", installed: false, known: true },
            { manager: "apt", installed: false, known: true },
            { manager: "apt", installed: false, known: false },
            expect.objectContaining({ manager: "apt", installed: false }),
            expect.objectContaining({ manager: "apt", installed: false }),
            expect.objectContaining({ manager: "apt", installed: false }),
          ]);
        });
      });

      it("has no manager where there is no dpkg", async () => {
        const shell = await open();
        const bare = {
          ...shell,
          argv: [where(shell.argv[0]) ?? shell.argv[0], ...shell.argv.slice(1)],
          env: { PATH: path("nothing"), HOME: "/" },
        } as const;
        expect(await ask(bare, "package", [{ kind: "package", name: "bash" }])).toEqual([{ manager: undefined }]);
      });
    });
  });
}

needs(
  "dash",
  "linux",
  "getent",
)("the number of programs", () => {
  it("does not grow with the number of questions", async () => {
    const folder = path("counting");
    await mkdir(folder, { recursive: true });
    const tools = ["getent", "grep", "cat", "dpkg-query", "apt-get", "apt-cache"].filter((tool) => has(tool));
    for (const tool of tools)
      await writeFile(
        join(folder, tool),
        `#!/bin/sh\necho ${tool} >>'${path("calls")}'\nexec ${where(tool) ?? ""} "$@"\n`,
        { mode: 0o755 },
      );
    const shell: Shell = { argv: ["dash"], env: { ...machine, PATH: `${folder}:${machine.PATH}` } };
    const calls = async (kind: "user" | "group" | "package", names: readonly string[]): Promise<string[]> => {
      await rm(path("calls"), { force: true });
      const probes = names.map((name) => ({ kind, name }));
      await ask(shell, kind, probes);
      return existsSync(path("calls")) ? (await readFile(path("calls"), "utf8")).trim().split("\n") : [];
    };
    const strangers = (count: number): string[] => Array.from({ length: count }, (_, i) => `nobody-has-this-${i}`);
    for (const kind of ["user", "group", "package"] as const) {
      // Programs of one pipe start in any order.
      const few = (await calls(kind, strangers(2))).sort();
      expect(few.length).toBeLessThanOrEqual(4);
      expect((await calls(kind, strangers(300))).sort()).toEqual(few);
    }
    // The common case: everything is installed, so neither apt's lists nor what packages provide is looked at.
    if (has("dpkg-query") && has("apt-get")) expect(await calls("package", ["dpkg", "apt"])).toEqual(["dpkg-query"]);
  });
});

/** A dpkg database and package lists of our own; the environment that makes dpkg-query and apt-cache read them. */
async function aptWorld(name: string): Promise<Record<string, string>> {
  const root = path(`apt-${name}`);
  for (const folder of ["dpkg/info", "dpkg/updates", "lists/partial", "cache/archives/partial", "repo"])
    await mkdir(join(root, folder), { recursive: true });
  const native = { x64: "amd64", arm64: "arm64" }[arch() as string] ?? arch();
  const entry = (pkg: string, status: string, version: string, more = ""): string =>
    `Package: ${pkg}\nStatus: ${status}\nMaintainer: m\nArchitecture: ${native}\nVersion: ${version}\n${more}Description: d\n`;
  const status = [
    entry("dpkg", "install ok installed", "1.21"),
    entry("here", "install ok installed", "1:1.0-1"),
    entry("held", "hold ok installed", "2"),
    entry("removed", "deinstall ok config-files", "1"),
    entry("provider", "install ok installed", "3", "Provides: other, virtual (= 1), both\n"),
  ];
  const listed = (pkg: string): string =>
    `Package: ${pkg}\nVersion: 2\nArchitecture: ${native}\nFilename: ./${pkg}.deb\nSize: 1\nSHA256: ${"0".repeat(64)}\n`;
  await writeFile(join(root, "dpkg/status"), `${status.join("\n")}\n`);
  await writeFile(join(root, "repo/Packages"), ["newone", "both"].map(listed).join("\n"));
  await writeFile(join(root, "sources.list"), `deb [trusted=yes] file:${root}/repo ./\n`);
  const settings = {
    "Dir::State": root,
    "Dir::State::status": `${root}/dpkg/status`,
    "Dir::State::lists": `${root}/lists`,
    "Dir::Cache": `${root}/cache`,
    "Dir::Etc::sourcelist": `${root}/sources.list`,
    "Dir::Etc::sourceparts": "-",
    "APT::Architecture": native,
    "APT::Sandbox::User": userInfo().username,
  };
  await writeFile(
    join(root, "apt.conf"),
    Object.entries(settings)
      .map(([key, value]) => `${key} "${value}";\n`)
      .join(""),
  );
  const env = { APT_CONFIG: join(root, "apt.conf"), DPKG_ADMINDIR: join(root, "dpkg") };
  execFileSync("apt-get", ["-qq", "update"], { env: { ...machine, ...env }, stdio: "ignore" });
  return env;
}
