import { describe, expect, it } from "vitest";
import { readKeyLine, readKeyLines, withKey, withSuccessor, withoutKey } from "../../../../src/core/ssh/key/lines.ts";
import { wire } from "../../../../src/core/ssh/wire.ts";

const key = (name: string): string => `ssh-ed25519 ${wire("ssh-ed25519", name.padEnd(32)).toString("base64")}`;
const blob = (name: string): Buffer => wire("ssh-ed25519", name.padEnd(32));
const [a, b, c] = [key("a"), key("b"), key("c")];

describe("a line of authorized_keys", () => {
  it.each([
    [a, { options: "", comment: "" }],
    [`${a} me@laptop  twice`, { options: "", comment: "me@laptop  twice" }],
    [`no-pty ${a} x`, { options: "no-pty", comment: "x" }],
    [`  no-pty   ${a}`, { options: "no-pty" }],
    [
      `from="10.0.0.0/8, !10.1.1.1",command="echo \\"a b\\"" ${a} x`,
      { options: `from="10.0.0.0/8, !10.1.1.1",command="echo \\"a b\\""` },
    ],
    [`command="ssh-ed25519 AAAA" ${a}`, { options: 'command="ssh-ed25519 AAAA"' }],
    [`${a}\r`, { options: "", comment: "" }],
  ])("%s", (row, expected) => {
    expect(readKeyLine(row)).toMatchObject({ type: "ssh-ed25519", blob: blob("a"), ...expected });
  });

  it.each([
    "",
    "# no key",
    "no-pty",
    "ssh-ed25519",
    "ssh-ed25519 AAAA",
    a.replace("ed25519", "rsa"),
    `a b ${a}`,
    `from="x ${a}`,
  ])("is not: %j", (row) => expect(readKeyLine(row)).toBe(undefined));
});

describe("the file", () => {
  const file = `# first\nno-pty ${a} one\n\n${b} two\n${a}\nnonsense\n`;

  it("is told by its keys, with their lines", () => {
    expect(readKeyLines(file).map(({ line }) => line)).toEqual([2, 4, 5]);
  });

  it("takes a key once, whatever its options, and whether or not it ends with a newline", () => {
    expect(withKey(file, `${a} again`)).toBe(file);
    expect(withKey("", c)).toBe(`${c}\n`);
    expect(withKey("# x", `no-pty ${c}`)).toBe(`# x\nno-pty ${c}\n`);
  });

  it("loses a key wherever it stands, and nothing else", () => {
    expect(withoutKey(file, blob("a"))).toBe(`# first\n\n${b} two\nnonsense\n`);
    expect(withoutKey(file, blob("c"))).toBe(file);
    expect(withoutKey(`${b}\n${a}`, blob("a"))).toBe(`${b}`);
    expect(withoutKey(`${a}\n`, blob("a"))).toBe("");
  });

  it("takes a successor under each set of options the old key has, once", () => {
    const after = withSuccessor(file, blob("a"), `${c} new`);
    expect(after).toBe(`${file}no-pty ${c} new\n${c} new\n`);
    expect(withSuccessor(after, blob("a"), `${c} new`)).toBe(after);
    expect(withSuccessor(file, blob("c"), `${c} new`)).toBe(file);
    expect(withoutKey(after, blob("a"))).toBe(`# first\n\n${b} two\nnonsense\nno-pty ${c} new\n${c} new\n`);
  });
});
