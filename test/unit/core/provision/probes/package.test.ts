/** package probe: what dpkg-query and apt-cache print, read. Captured from Debian 12. */
import { describe, expect, it } from "vitest";
import { probe } from "../../../../../src/core/provision/probes/package.ts";

const ask = (...names: string[]) => names.map((name) => ({ kind: "package", name }) as const);
const read = (text: string, ...names: string[]) => probe.parse(Buffer.from(text), ask(...names));

const rows = `@apt
dpkg-query: no packages found matching nignx
awk|not-installed||
bash|installed|amd64|5.2.15-2+b13
dpkg|installed|amd64|1.21.23
libc6|installed|i386|2.36-9
debianutils|installed|all|5.7
nginx|config-files|amd64|1.22.1-9
half|half-configured|amd64|1
mandb|triggers-awaited|amd64|2.11
`;
const more = `@provides
installed|mawk|1.3.4.20200120-3.1|awk
installed|exim4-daemon-light|4.96|default-mta, mail-transport-agent (= 2), sl
config-files|oldmta|1|imap-server
@known
awk:
  Installed: (none)
  Candidate: (none)
  Version table:
nginx:
  Installed: (none)
  Candidate: 1.22.1-9+deb12u10
  Version table:
     1.22.1-9+deb12u10 500
sl:
  Installed: (none)
  Candidate: 5.02-1+b1
  Version table:
`;

describe("the package probe", () => {
  it.each([
    ["bash", { installed: true, version: "5.2.15-2+b13" }],
    ["bash:amd64", { installed: true, version: "5.2.15-2+b13" }],
    ["debianutils", { installed: true, version: "5.7" }],
    ["mandb", { installed: true, version: "2.11" }],
    ["nginx", { installed: false, known: true }],
    ["half", { installed: false, known: false }],
    ["nignx", { installed: false, known: false }],
    ["libc6", { installed: false, known: false }],
    ["libc6:i386", { installed: true, version: "2.36-9" }],
    ["awk", { installed: true, version: "1.3.4.20200120-3.1", providedBy: "mawk" }],
    ["mail-transport-agent", { installed: true, version: "4.96", providedBy: "exim4-daemon-light" }],
    ["imap-server", { installed: false, known: false }],
    // sl is a package of its own: what exim4 provides does not stand for it.
    ["sl", { installed: false, known: true }],
  ])("%s is %j", (name, answer) => {
    expect(read(rows + more, name)).toEqual([{ manager: "apt", ...answer }]);
  });

  it("does not know what apt knows when everything is installed, as apt was not asked", () => {
    expect(read(rows, "nignx", "bash")).toEqual([
      { manager: "apt", installed: false, known: undefined },
      { manager: "apt", installed: true, version: "5.2.15-2+b13" },
    ]);
  });

  it("a target without dpkg and apt has no manager", () => {
    expect(read("", "bash", "dash")).toEqual([{ manager: undefined }, { manager: undefined }]);
  });

  it("a dpkg that cannot answer is an error with its words, not an empty system", () => {
    expect(() => read("@apt\ndpkg-query: error: parsing file '/var/lib/dpkg/status' near line 3\n", "bash")).toThrow(
      "near line 3",
    );
    expect(() => read("rubbish\n", "bash")).toThrow("unexpected: rubbish");
  });

  it("asks no tool for what is not a package name", () => {
    const sh = probe.sh(ask("bash", "-rf", "ba*", "a b", "$(reboot)", "bash"));
    expect(sh).toContain("-- dpkg bash 2>&1");
    expect(sh).not.toMatch(/-rf|ba\*|reboot/);
  });

  it("is one query however many names", () => {
    const many = probe.sh(ask(...Array.from({ length: 200 }, (_, i) => `pkg${i}`)));
    expect(many.match(/dpkg-query -W/g)).toHaveLength(2);
    expect(many.match(/apt-cache/g)).toHaveLength(1);
  });
});
