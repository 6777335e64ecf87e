/** provision: on this machine and over ssh, checked, interrupted, refused; and a whole web server on a systemd guest. */
import { once } from "node:events";
import { readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { type IncomingMessage, get } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Guest, startGuest } from "../servers/guest.ts";
import { startSshd } from "../servers/sshd.ts";
import { type Home, ami, exitOf, inventHome, root, start } from "./run.ts";

let home: Home;
beforeEach(async () => {
  home = await inventHome();
});
afterEach(() => home.remove());

/** The line of a host in the closing table. */
const nothingChanged = /^\S+ +0 +[1-9]\d* +0 /m;
const hello = ["provision", "--blueprint", join(root, "blueprints/hello.yaml")];

describe("provision on this machine", () => {
  it("makes what hello.yaml says, and a second run changes nothing", async () => {
    const first = await ami(home, hello);
    expect(first).toMatchObject({ code: 0 });
    const folder = join(home.dir, "ami-node-hello");
    expect(await readFile(join(folder, "greetings/en.txt"), "utf8")).toMatch(/^Hello, /);
    const before = await tree(folder);
    const second = await ami(home, hello);
    expect(second.code).toBe(0);
    expect(second.stdout + second.stderr).toMatch(nothingChanged);
    expect(await tree(folder)).toEqual(before);
  });

  it("--check exits 2 while something differs, names it, and changes nothing", async () => {
    expect((await ami(home, [...hello, "--check"])).code).toBe(2);
    await expect(stat(join(home.dir, "ami-node-hello"))).rejects.toThrow();
    await ami(home, hello);
    expect((await ami(home, [...hello, "--check"])).code).toBe(0);
    const edited = join(home.dir, "ami-node-hello/greetings/fr.txt");
    await writeFile(edited, "Salut\n");
    const drift = await ami(home, [...hello, "--check", "--diff"]);
    expect(drift.code).toBe(2);
    expect(drift.stdout + drift.stderr).toMatch(/fr\.txt[\s\S]*-Salut[\s\S]*\+Bonjour/);
    expect(await readFile(edited, "utf8")).toBe("Salut\n");
    expect((await ami(home, hello)).code).toBe(0);
    expect(await readFile(edited, "utf8")).toMatch(/^Bonjour/);
  });

  it("says all mistakes of a blueprint with their places, exits 64, and touches nothing", async () => {
    const file = join(home.dir, "bad.yaml");
    await writeFile(
      file,
      [
        "name: bad",
        "resources:",
        "  - file: relative/path",
        "    content: x",
        "  - fil: /tmp/x",
        `  - file: ${home.dir}/ok`,
        "    content: '{{ nothing_of_that_name }}'",
        "    mod: '0644'",
        "",
      ].join("\n"),
    );
    const { code, stderr, stdout } = await ami(home, ["provision", "--blueprint", file]);
    expect(code).toBe(64);
    for (const place of ["bad.yaml:3:", "bad.yaml:5:", "bad.yaml:7:", "bad.yaml:8:"])
      expect(stdout + stderr).toContain(place);
    expect(await exists(join(home.dir, "ok"))).toBe(false);
    expect(await exists(join(home.dir, ".ami-node"))).toBe(false);
  });

  it("twenty mistakes are twenty errors with their places, exit 64, and no host is contacted", async () => {
    let contacts = 0;
    const server = createServer((socket) => {
      contacts++;
      socket.destroy();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const mistakes = [
      "file: relative",
      "fil: /tmp/x",
      "file: /a1, mod: '0644'",
      "file: /a2, mode: '99'",
      "file: /a3, content: '{{ nothing_here }}'",
      "file: /a4, source: no-such-file",
      "file: /a5, notify: nobody",
      "file: /a6, after: nothing",
      "file: /a7, content: a, source: b",
      "file: /a8, state: gone",
      "link: /b1",
      "directory: b2",
      "line: x",
      "command: ''",
      "package: UPPER",
      "service: x",
      "user: 'a b'",
      "group: 7",
      "file: /a9, retries: -1",
      "file: /a10, content: '{{ unclosed'",
    ];
    const file = join(home.dir, "twenty.yaml");
    await writeFile(file, `resources:\n${mistakes.map((mistake) => `  - { ${mistake} }\n`).join("")}`);
    const { code, stderr, stdout } = await ami(home, [
      "provision",
      "--blueprint",
      file,
      "--target",
      `someone@127.0.0.1:${address.port}`,
    ]);
    server.close();
    expect(code).toBe(64);
    for (const [at] of mistakes.entries()) expect(stdout + stderr).toMatch(new RegExp(`twenty\\.yaml:${at + 2}:\\d+ `));
    expect(contacts).toBe(0);
  });

  it("says one event a line in --json, ending with the result", async () => {
    const { code, stdout } = await ami(home, [...hello, "--json"]);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { kind: string; exit?: number });
    expect(code).toBe(0);
    expect(events.at(-1)).toMatchObject({ kind: "result", exit: 0 });
  });

  it("ends what runs there when it is interrupted, and the next run goes on", async () => {
    const file = join(home.dir, "slow.yaml");
    const [done, mark] = [join(home.dir, "done"), join(home.dir, "pid")];
    const slow = `echo $$ > ${mark}; [ -e ${mark}.again ] || { touch ${mark}.again; exec sleep 1000; }; touch ${done}`;
    await writeFile(file, `name: slow\nresources:\n  - command: '${slow}'\n    creates: ${done}\n`);
    const child = start(home, ["provision", "--blueprint", file]);
    const pid = await until(async () => Number(await readFile(mark, "utf8").catch(() => "0")));
    await until(() => exists(`${mark}.again`));
    child.kill("SIGINT");
    expect(await exitOf(child)).toBe(130);
    await until(async () => !(await exists(`/proc/${pid}`)));
    expect((await ami(home, ["provision", "--blueprint", file])).code).toBe(0);
    expect(await exists(done)).toBe(true);
  }, 60_000);
});

needs("sshd")("provision over ssh", () => {
  it("makes the same on a server, and a second run changes nothing", async () => {
    const box = await startSshd();
    try {
      const there = [...hello, "--ssh-config", box.configFile, "--target", "box"];
      expect((await ami(home, there)).code).toBe(0);
      const second = await ami(home, [...there, "--explain"]);
      expect(second.code).toBe(0);
      expect(second.stdout + second.stderr).toMatch(nothingChanged);
      await rm(join(box.home, "ami-node-hello"), { recursive: true, force: true });
    } finally {
      await box.stop();
    }
  });
});

needs("systemd-guest")("provision of a whole machine", () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await startGuest();
  }, 300_000);
  afterAll(() => guest?.stop());

  const there = (blueprint: string, ...more: string[]): string[] => [
    "provision",
    "--blueprint",
    join(root, "blueprints", blueprint),
    "--ssh-config",
    guest.configFile,
    "--target",
    "admin@guest",
    ...more,
  ];

  it("sets up web.yaml, is silent the second time, sees an edited file and repairs it", async () => {
    const web = there("web.yaml", "--become");
    const first = await ami(home, web);
    expect(first, first.stdout + first.stderr).toMatchObject({ code: 0 });
    // A reload of nginx is over a moment after it was asked for.
    await vi.waitFor(async () => {
      const page = get({ host: guest.host, headers: { host: "beta.example" } });
      const [answer] = (await once(page, "response")) as [IncomingMessage];
      expect(await text(answer)).toContain("The second site");
    }, 10_000);
    const second = await ami(home, web);
    expect(second.code).toBe(0);
    expect(second.stdout + second.stderr).toMatch(nothingChanged);
    await guest.exec(["sh", "-c", "echo '# drift' >> /etc/nginx/sites-available/alpha.example.conf"]);
    const check = await ami(home, [...web, "--check"]);
    expect(check.code).toBe(2);
    expect(check.stdout + check.stderr).toContain("/etc/nginx/sites-available/alpha.example.conf");
    expect((await ami(home, web)).code).toBe(0);
    expect((await ami(home, [...web, "--check"])).code).toBe(0);
    expect((await guest.exec(["grep", "-c", "drift", "/etc/nginx/sites-available/alpha.example.conf"])).stdout).toBe(
      "0\n",
    );
  }, 300_000);

  it("sets up dev.yaml for the user who logs in, tools by sudo, and is silent the second time", async () => {
    const file = join(home.dir, "me.yaml");
    await writeFile(file, "git: { name: Ada Lovelace, email: ada@example.org, branch: trunk }\n");
    const dev = there("dev.yaml", "--vars-file", file);
    const first = await ami(home, dev);
    expect(first, first.stdout + first.stderr).toMatchObject({ code: 0 });
    const asAdmin = async (line: string): Promise<string> =>
      (await guest.exec(["runuser", "-l", "admin", "-c", line])).stdout.trim();
    expect(await asAdmin("rg --version | head -n 1; command -v tmux unzip")).toMatch(
      /^ripgrep .*\n\/usr\/bin\/tmux\n\/usr\/bin\/unzip$/,
    );
    expect(await asAdmin("git config user.name; git config user.email; git config init.defaultBranch")).toBe(
      "Ada Lovelace\nada@example.org\ntrunk",
    );
    expect(await asAdmin("bash -ic 'alias gs; echo $EDITOR' 2>/dev/null")).toBe(
      "alias gs='git status --short --branch'\nvim",
    );
    expect(await asAdmin("find /home/admin -not -user admin")).toBe("");
    const second = await ami(home, dev);
    expect(second.code).toBe(0);
    expect(second.stdout + second.stderr).toMatch(nothingChanged);
    expect((await ami(home, [...dev, "--check"])).code).toBe(0);
  }, 300_000);
});

/** Every path with its mode and change time. */
async function tree(dir: string): Promise<readonly string[]> {
  const names = await readdir(dir, { recursive: true });
  const lines = names.map(async (name) => {
    const { mode, mtimeMs } = await stat(join(dir, name));
    return `${name} ${mode.toString(8)} ${mtimeMs}`;
  });
  return (await Promise.all(lines)).sort();
}

/** Waits for something true and returns it. */
async function until<T>(look: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > deadline) throw new Error("it did not happen in 20 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
