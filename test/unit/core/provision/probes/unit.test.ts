/** unit probe: what systemctl prints, read. Captured from systemd 252 (Debian 12). */
import { describe, expect, it } from "vitest";
import { probe } from "../../../../../src/core/provision/probes/unit.ts";

const ask = (...names: string[]) => names.map((name) => ({ kind: "unit", name }) as const);
const block = (
  id: string,
  load: string,
  active: string,
  file: string,
  more: { names?: string; reload?: string } = {},
) =>
  `Id=${id}\nNames=${more.names ?? id}\nLoadState=${load}\nActiveState=${active}\nUnitFileState=${file}\nNeedDaemonReload=${more.reload ?? "no"}\n`;

const answer = Buffer.from(
  `@systemd\n${[
    block("ssh.service", "loaded", "active", "enabled", { names: "ssh.service sshd.service" }),
    block("ssh.service", "loaded", "active", "enabled", { names: "ssh.service sshd.service" }),
    block("tpl@a.service", "loaded", "failed", "disabled", { reload: "yes" }),
    block("maskme.service", "masked", "inactive", "masked"),
    block("ngnix.service", "not-found", "inactive", ""),
    block("gone.service", "not-found", "active", ""),
    block("old.service", "not-found", "failed", ""),
    block(String.raw`dev-disk\x2dby.device`, "loaded", "inactive", "", { names: String.raw`"dev-disk\\x2dby.device"` }),
  ].join("\n")}
@near
nginx.service                          enabled         enabled
networking.service                     static          -
`,
);
const read = (...names: string[]) => probe.parse(answer, ask(...names));
const found = { manager: "systemd", found: true, needsReload: false };

describe("the unit probe", () => {
  it.each([
    ["ssh.service", { ...found, active: "active", enabled: "enabled" }],
    ["sshd.service", { ...found, active: "active", enabled: "enabled" }],
    ["tpl@a.service", { ...found, active: "failed", enabled: "disabled", needsReload: true }],
    ["maskme.service", { ...found, active: "inactive", enabled: "masked" }],
    ["ngnix.service", { manager: "systemd", found: false, near: "nginx.service" }],
    ["old.service", { manager: "systemd", found: false, near: undefined }],
    // Its file was removed while it ran: there is something to stop.
    ["gone.service", { ...found, active: "active", enabled: "" }],
    [String.raw`dev-disk\x2dby.device`, { ...found, active: "inactive", enabled: "" }],
    ["bad name.service", { manager: "systemd", found: false }],
    ["getty@.service", { manager: "systemd", found: false }],
  ])("%s is %j", (name, fact) => {
    expect(read(name)).toEqual([fact]);
  });

  it("answers in the order of the questions", () => {
    expect(read("maskme.service", "ssh.service").map((fact) => "enabled" in fact && fact.enabled)).toEqual([
      "masked",
      "enabled",
    ]);
  });

  it("a target that systemd does not run has no manager", () => {
    expect(probe.parse(Buffer.from(""), ask("a.service"))).toEqual([{ manager: undefined }]);
  });

  it("a unit systemctl said nothing about is an error, not an absent unit", () => {
    expect(() => read("other.service")).toThrow("systemctl said nothing about other.service");
    expect(() => probe.parse(Buffer.from("@systemd\n\n"), ask("a.service"))).toThrow("systemctl said nothing");
    expect(() => probe.parse(Buffer.from("Failed\n"), ask("a.service"))).toThrow("unexpected: Failed");
  });

  it("hands systemctl only valid names: one other would make it refuse all", () => {
    const sh = probe.sh(
      ask("ssh.service", "s*.service", "getty@.service", "-p.service", "a b.service", "x.nosuchkind"),
    );
    expect(sh).toContain("-- ssh.service)");
    expect(sh).not.toMatch(/getty|a b|nosuchkind| -p\.service/);
    expect(probe.sh(ask("getty@.service"))).not.toContain("systemctl show");
  });

  it("is one query however many units", () => {
    expect(
      probe.sh(ask(...Array.from({ length: 200 }, (_, i) => `u${i}.service`))).match(/systemctl show/g),
    ).toHaveLength(1);
  });
});
