/** package, service, user and group through the command, on a Debian that systemd runs. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { command } from "../../src/commands/provision.ts";
import type { Context, GlobalOptions } from "../../src/core/command.ts";
import { AmiError } from "../../src/core/errors.ts";
import { createEvents } from "../../src/core/events.ts";
import { openHosts, type OpenHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { type Guest, startGuest } from "../servers/guest.ts";

interface Ran {
  readonly exit: number;
  readonly settled: boolean | undefined;
  readonly error: { readonly message: string; readonly hint?: string | undefined } | undefined;
  /** `title: outcome (changes)` of everything that is not `same`. */
  readonly told: readonly string[];
  readonly same: number;
  readonly stderr: string;
  readonly asked: readonly string[];
}

needs("systemd-guest")("system resources on a guest", () => {
  let guest: Guest;
  let dir: string;
  let hosts: OpenHosts;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "ami-system-"));
    guest = await startGuest();
    hosts = openHosts({ ssh: { configFile: guest.configFile, env: {} } });
  }, 300_000);
  afterAll(async () => {
    await hosts?.close();
    await guest?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  async function provision(
    resources: string,
    flags: { check?: boolean; yes?: boolean; as?: string; become?: GlobalOptions["become"] } = {},
  ): Promise<Ran> {
    const file = join(dir, "bp.yaml");
    writeFileSync(
      file,
      resources.includes("resources:") ? `name: t\n${resources}` : `name: t\nresources:\n${resources}`,
    );
    const asked: string[] = [];
    const ctx: Context = {
      targets: [parseTarget(`${flags.as ?? "root"}@guest`)],
      resolve: async () => Promise.resolve([]),
      hosts,
      events: createEvents("test"),
      settings: { get: () => undefined },
      options: {
        parallel: 1,
        become: flags.become,
        json: false,
        quiet: false,
        verbose: false,
        yes: flags.yes === true,
      },
      signal: new AbortController().signal,
      async confirm(question) {
        asked.push(question);
        if (flags.yes !== true) throw new AmiError("run.refused", question);
      },
    };
    const { output, exit = 0 } = await command.run(
      command.input.parse({ blueprint: file, check: flags.check === true }),
      ctx,
    );
    const host = output.hosts[0];
    if (host === undefined) throw new Error("no host");
    const differs = host.resources.filter((r) => r.outcome !== "same");
    return {
      exit,
      settled: host.settled,
      error: host.error,
      told: differs.map((r) => `${r.title}: ${r.outcome} (${r.changes.join("; ")})`),
      same: host.resources.length - differs.length,
      stderr: host.resources.map((r) => r.stderr ?? "").join(""),
      asked,
    };
  }

  /** What a program in the guest prints, or `exit N`. */
  async function look(line: string): Promise<string> {
    const { code, stdout } = await guest.exec(["sh", "-c", line]);
    return code === 0 ? stdout.trim() : `exit ${code}`;
  }

  it("resources of several users each have a shell, a home and a lock of their own", async () => {
    const users = `
  - file: /tmp/of-root
    content: "x"
  - command: id -un >/home/joe-users/mine; ls -d ~/.ami-node >/dev/null
    become: joe-users
    creates: /home/joe-users/mine
  - command: id -un >/home/ann-users/mine; ls -d ~/.ami-node >/dev/null
    become: ann-users
    creates: /home/ann-users/mine
  - file: /tmp/of-root-too
    content: "y"`;
    await provision("\n  - user: joe-users\n  - user: ann-users\n");
    expect(await provision(users)).toMatchObject({ exit: 0, settled: true, error: undefined });
    expect(await look("cat /home/joe-users/mine /home/ann-users/mine")).toBe("joe-users\nann-users");
    expect(await look("stat -c %U /home/joe-users/mine /home/ann-users/mine /tmp/of-root-too")).toBe(
      "joe-users\nann-users\nroot",
    );
    expect(await look("ls -d /root/.ami-node/*/lock /home/*-users/.ami-node/*/lock 2>/dev/null")).toMatch(/^exit/);
    expect(await provision(users)).toMatchObject({ same: 4, told: [] });
  });

  it("a number that is taken and a group that somebody needs are refused before anything is done", async () => {
    await provision("\n  - user: needy\n    uid: 1790\n");
    const taken = await provision("\n  - file: /tmp/before\n    content: x\n  - user: other\n    uid: 1790\n");
    // Behind another change the target decides, for it may set the number free.
    expect(taken.exit).toBe(3);
    const alone = await provision("\n  - user: other\n    uid: 1790\n");
    expect(alone.error?.message).toContain("the number 1790 is another user's");
    const group = await provision("\n  - group: needy\n    state: absent\n");
    expect(group.error?.message).toContain("the primary group of a user");
    const both = "\n  - user: needy\n    state: absent\n  - group: needy\n    state: absent\n";
    expect(await provision(both, { yes: true })).toMatchObject({ exit: 0, settled: true });
  });

  const machine = `
  - group: web
    gid: 1700
  - user: app
    uid: 1701
    groups: [web, adm]
    shell: /bin/bash
    comment: The App
  - user: robot
    system: true
    create_home: false
  - package: sl
  - package: [tree, hello]
  - file: /etc/systemd/system/app.service
    content: |
      [Service]
      User=app
      ExecStart=/usr/bin/tail -f /dev/null
      [Install]
      WantedBy=multi-user.target
  - service: app
    state: running
    enabled: true
`;

  it("first run makes everything in one stage, the second run changes nothing, and check says both", async () => {
    const wishes = [
      "group web: OUTCOME (create with gid 1700)",
      "user app: OUTCOME (create)",
      "user robot: OUTCOME (create)",
      "package sl: OUTCOME (install sl)",
      "package tree, hello: OUTCOME (install tree, hello)",
      "file /etc/systemd/system/app.service: OUTCOME (create)",
      "service app: OUTCOME (daemon-reload; enable; start)",
    ];
    const check = await provision(machine, { check: true });
    expect(check).toMatchObject({ exit: 2, told: wishes.map((wish) => wish.replace("OUTCOME", "pending")) });
    expect(await look("id app")).toBe("exit 1");

    const first = await provision(machine);
    expect(first).toMatchObject({
      exit: 0,
      settled: true,
      told: wishes.map((wish) => wish.replace("OUTCOME", "changed")),
    });
    expect(await look("getent group web")).toBe("web:x:1700:app");
    expect(await look("id -Gn app")).toBe("app adm web");
    expect(await look("getent passwd app")).toMatch(/^app:x:1701:[0-9]+:The App:\/home\/app:\/bin\/bash$/);
    expect(await look("stat -c %U /home/app/.profile")).toBe("app");
    expect(await look("ls -d /home/robot")).toBe("exit 2");
    expect(await look("dpkg-query -W -f '${db:Status-Abbrev}' sl tree hello")).toBe("ii ii ii");
    expect(await look("grep -c '^Commandline:.*install.* -- sl tree hello' /var/log/apt/history.log")).toBe("1");
    expect(
      await look("systemctl is-active app; systemctl is-enabled app; ps -o user= -p $(systemctl show -P MainPID app)"),
    ).toBe("active\nenabled\napp");

    expect(await provision(machine)).toMatchObject({ exit: 0, told: [], same: wishes.length });
    expect(await provision(machine, { check: true })).toMatchObject({ exit: 0, told: [] });
  }, 180_000);

  it("what was changed by hand is found and repaired, and nothing else", async () => {
    await look("systemctl disable --now app; gpasswd -d app adm; usermod -s /bin/sh app; apt-get -qq -y remove tree");
    const check = await provision(machine, { check: true });
    expect(check.exit).toBe(2);
    expect(check.told).toEqual([
      "user app: pending (groups +adm, shell /bin/sh -> /bin/bash)",
      "package tree, hello: pending (install tree)",
      "service app: pending (enable; start)",
    ]);
    expect(await provision(machine)).toMatchObject({ exit: 0, settled: true });
    expect(await provision(machine)).toMatchObject({ exit: 0, told: [] });
  }, 180_000);

  it("a changed unit file or drop-in is read again, and its handler restarts the service", async () => {
    const dropIn = (nice: number): string => `resources:
  - directory: /etc/systemd/system/app.service.d
  - file: /etc/systemd/system/app.service.d/nice.conf
    content: "[Service]\\nNice=${nice}\\n"
    notify: restart app
  - service: app
    state: running
handlers:
  restart app: { service: app, state: restarted }
`;
    for (const nice of [5, 6]) {
      const ran = await provision(dropIn(nice));
      expect(ran).toMatchObject({ exit: 0, settled: true });
      expect(ran.told.slice(-2)).toEqual(["service app: changed (daemon-reload)", "service app: changed (restart)"]);
      expect(await look("ps -o ni= -p $(systemctl show -P MainPID app)")).toBe(String(nice));
    }
    expect(await provision(dropIn(6))).toMatchObject({ exit: 0, told: [] });
  }, 120_000);

  it("a unit that comes with a package waits for it, and so does the service of its name", async () => {
    const cron = "  - package: cron\n  - service: cron\n    state: stopped\n    enabled: false\n";
    expect((await provision(cron, { check: true })).told[1]).toContain("service cron: pending");
    const ran = await provision(cron);
    expect(ran).toMatchObject({ exit: 0, settled: true });
    expect(ran.told).toEqual(["package cron: changed (install cron)", "service cron: changed (disable; stop)"]);
    expect(await look("systemctl is-enabled cron")).toBe("exit 1");
    expect(await provision(cron)).toMatchObject({ exit: 0, told: [] });
  }, 120_000);

  it("a user that a package makes is brought to what is wished in the same run", async () => {
    const both = "  - package: uuid-runtime\n  - user: uuidd\n    groups: [web]\n    comment: ids\n";
    expect(await look("id uuidd")).toBe("exit 1");
    expect(await provision(both)).toMatchObject({ exit: 0, settled: true });
    expect(await look("getent passwd uuidd")).toContain(":ids:/run/uuidd:");
    expect(await look("id -Gn uuidd")).toBe("uuidd web");
    expect(await provision(both)).toMatchObject({ exit: 0, told: [] });
  }, 120_000);

  it("a service that dies right after its start fails, with its last words", async () => {
    const dies = (line: string): string => `
  - file: /etc/systemd/system/dies.service
    content: |
      [Service]
      ExecStart=/bin/sh -c "${line}"
      Restart=on-failure
  - service: dies
    state: running
`;
    const ran = await provision(dies("sleep 0.2; echo the port is taken; exit 3"));
    expect(ran.exit).toBe(3);
    expect(ran.told.at(-1)).toContain("service dies: failed");
    expect(ran.stderr).toMatch(/dies\.service was started but is/);
    expect(ran.stderr).toContain("the port is taken");
    await look("systemctl stop dies");
    expect(await provision(dies("exec sleep infinity"))).toMatchObject({ exit: 0, settled: true });
  }, 120_000);

  it("what cannot be is refused with what to do, before anything is changed", async () => {
    await look("systemctl mask systemd-pstore; :");
    const cases: [string, string, string][] = [
      ["  - service: sssh\n    state: running\n", "there is no unit sssh.service", "did you mean ssh.service?"],
      ["  - service: systemd-pstore\n    state: running\n", "systemd-pstore.service is masked", "systemctl unmask"],
      ["  - user: bob\n    groups: [nogroup-here]\n", "there is no group nogroup-here", "- group: nogroup-here"],
      ["  - user: app\n    uid: 4000\n", "not 4000", "usermod -u 4000 app"],
      ["  - group: web\n    gid: 4000\n", "the group web has the number 1700, not 4000", "groupmod -g 4000 web"],
      ["  - package: awk\n    state: absent\n", "awk is no package but a name that mawk provides", "mawk"],
    ];
    for (const [resource, message, hint] of cases) {
      const ran = await provision(`  - file: /etc/never\n    content: x\n${resource}`);
      expect(ran.exit, message).toBe(3);
      expect(ran.error?.message).toContain(message);
      expect(ran.error?.hint).toContain(hint);
    }
    expect(await look("ls /etc/never")).toBe("exit 2");
    expect(await provision("  - package: awk\n")).toMatchObject({ exit: 0, told: [] });
  }, 120_000);

  it("a package nobody knows fails with apt's words, after the lists were read anew", async () => {
    const check = await provision("  - package: nignx\n", { check: true });
    expect(check.told[0]).toContain("nignx: not in the package lists there");
    const ran = await provision("  - package: nignx\n");
    expect(ran.exit).toBe(3);
    expect(ran.stderr).toContain("Unable to locate package nignx");
  }, 120_000);

  it("package lists that were never read are read when a package is missing", async () => {
    await look("rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin; apt-get -qq -y remove sl");
    expect(await provision("  - package: sl\n")).toMatchObject({ exit: 0, settled: true });
  }, 120_000);

  it("waits for the apt lock of another program", async () => {
    await look("apt-get -qq -y remove sl");
    // apt's own kind of lock; `$l` because fcntl writes into it.
    const hold = `use Fcntl; open(my $f, ">>", "/var/lib/dpkg/lock-frontend"); my $l = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die; print "held\\n"; close STDOUT; sleep 4; print STDERR "let go"`;
    await look(
      `perl -e '${hold}' >/run/held 2>/run/let-go & for i in $(seq 50); do grep -q held /run/held && break; sleep 0.1; done`,
    );
    expect(await provision("  - package: sl\n")).toMatchObject({ exit: 0, settled: true });
    expect(await look("cat /run/held /run/let-go")).toBe("held\nlet go");
  }, 120_000);

  it("an install that was killed half-way is finished by the next one", async () => {
    await look(
      "apt-get -qq -y remove sl; cd /var/cache/apt/archives && apt-get -qq download sl && dpkg --unpack sl_*.deb && touch /var/lib/dpkg/updates/0000",
    );
    expect(await provision("  - package: sl\n", { check: true })).toMatchObject({ exit: 2 });
    expect(await provision("  - package: sl\n")).toMatchObject({ exit: 0, settled: true });
    expect(await look("dpkg --audit")).toBe("");
  }, 120_000);

  it("installing removes nothing, and removing takes nothing along that was not named", async () => {
    const conflict = await provision("  - package: systemd-sysv\n  - package: sysvinit-core\n");
    expect(conflict.exit).toBe(3);
    expect(await look("dpkg-query -W -f '${db:Status-Status}' systemd-sysv")).toBe("installed");

    const needed = await provision("  - package: openssh-sftp-server\n    state: absent\n", { yes: true });
    expect(needed.exit).toBe(3);
    expect(needed.stderr).toContain("this would remove other packages, too: openssh-server");
    expect(await look("dpkg-query -W -f '${db:Status-Status}' openssh-server")).toBe("installed");
  }, 120_000);

  it("state: absent asks first, removes with --yes, and is silent the second time", async () => {
    const gone = `
  - service: app
    state: stopped
    enabled: false
  - user: app
    state: absent
    remove_home: true
  - user: robot
    state: absent
  - group: robot
    state: absent
  - group: web
    state: absent
  - package: [tree, hello]
    state: absent
`;
    const refused = await provision(gone);
    expect(refused.asked.join("\n")).toMatch(/remove the user app and \/home\/app/);
    expect(refused.exit).not.toBe(0);
    expect(await look("systemctl is-active app")).toBe("active");

    const ran = await provision(gone, { yes: true });
    expect(ran).toMatchObject({ exit: 0, settled: true });
    expect(await look("getent passwd app robot; getent group web robot; ls -d /home/app")).toBe("exit 2");
    expect(await look("ls /usr/bin/tree /usr/bin/hello")).toBe("exit 2");
    expect(await provision(gone)).toMatchObject({ exit: 0, told: [], asked: [] });
  }, 120_000);

  it("what another user owes is found, even though that user is asked only in a later stage", async () => {
    const blueprint = `
resources:
  - command: echo late
    register: first
    changed_when: "false"
  - file: /home/admin/late
    become: admin
    content: "{{ first.stdout }}"
    notify: note
  - command: test -e /root/go
    changed_when: "false"
handlers:
  note: { command: echo handled >>/root/handled }
`;
    expect(await provision(blueprint)).toMatchObject({ exit: 3 });
    expect(await look("stat -c %U /home/admin/late; ls /root/handled")).toBe("exit 2");
    await guest.exec(["touch", "/root/go"]);
    expect((await provision(blueprint)).told).toEqual([
      "command echo handled >>/root/handled: changed (run: echo handled >>/root/handled)",
    ]);
    expect(await look("cat /root/handled")).toBe("handled");
    expect((await provision(blueprint)).told).toEqual([]);
  }, 60_000);

  it("works by sudo and doas for one who is not root", async () => {
    const wish = (name: string): string =>
      `  - group: by-${name}\n  - user: by-${name}\n    groups: [adm]\n  - service: ssh\n    state: running\n    enabled: true\n`;
    for (const method of ["sudo", "doas"] as const) {
      const options = { as: "admin", become: { user: "root", method } };
      expect(await provision(wish(method), options)).toMatchObject({ exit: 0, settled: true, same: 1 });
      expect(await provision(wish(method), options)).toMatchObject({ exit: 0, told: [] });
    }
    const alone = await provision("  - package: cowsay\n", { as: "admin" });
    expect(alone.stderr).toContain("apt needs root");
  }, 120_000);
});
