/** user probe: passwd and group entries, read. */
import { describe, expect, it } from "vitest";
import { probe } from "../../../../../src/core/provision/probes/user.ts";

const ask = (...names: string[]) => names.map((name) => ({ kind: "user", name }) as const);
const output = Buffer.from(`app:x:1000:1000:The App,,,:/home/app:/bin/bash
orphan:x:1001:4242::/nonexistent:/usr/sbin/nologin
app:x:1:1:second entry:/:/bin/false
ünï:x:1002:50::/home/u:
+::::::
# a comment
short:x:3
@groups
app:x:1000:app
sudo:x:27:bob,app
adm:*:4:app
adm:*:4:app
staff:x:50:
broken
`);

describe("the user probe", () => {
  it("reads an account with its primary group's name and its sorted supplementary groups", () => {
    expect(probe.parse(output, ask("app"))).toEqual([
      {
        uid: 1000,
        gid: 1000,
        comment: "The App,,,",
        home: "/home/app",
        shell: "/bin/bash",
        group: "app",
        groups: ["adm", "sudo"],
      },
    ]);
  });

  it("a primary group without a name keeps its number, an empty field stays empty", () => {
    expect(probe.parse(output, ask("orphan", "ünï"))).toMatchObject([
      { group: "4242", groups: [], comment: "" },
      { group: "staff", shell: "" },
    ]);
  });

  it("who is not there, or only half there, is undefined", () => {
    expect(probe.parse(output, ask("nobody", "short", "+", "0", ""))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(probe.parse(Buffer.from(""), ask("app"))).toEqual([undefined]);
  });

  it("does not take a part of a name, or a pattern, for the name", () => {
    expect(probe.parse(output, ask("ap", "a.p", "app2"))).toEqual([undefined, undefined, undefined]);
  });

  it("asks no tool for options, numbers and broken names", () => {
    const sh = probe.sh(ask("app", "-s", "0", "a:b", "a\nb", ""));
    expect(sh).toContain("getent passwd app\n");
    expect(probe.sh(ask("-s", "0"))).not.toContain("getent passwd");
  });

  it("a name is no pattern", () => {
    expect(probe.sh(ask("a.b*$"))).toContain(String.raw`'^a\.b\*\$:'`);
  });
});
