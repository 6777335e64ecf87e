import { describe, expect, it } from "vitest";
import { normalHostName } from "../../../../src/core/ssh/config/address.ts";
import { parseJump } from "../../../../src/core/ssh/config/jump.ts";
import { matchPatternList, matchesHostList, matchesPattern } from "../../../../src/core/ssh/config/patterns.ts";
import { cutLine, splitWords } from "../../../../src/core/ssh/config/words.ts";

describe("a line", () => {
  it.each([
    ["Port 22", "port", "22"],
    ["Port=22", "port", "22"],
    ["Port = 22", "port", "22"],
    ["  Port\t22  ", "port", "22"],
    ["Port\t=\t22\r", "port", "22"],
    ["Port==22", "port", "=22"],
    ['"Port" 22', "port", "22"],
    ['User "a b" # c', "user", '"a b" # c'],
    ["Port", "port", ""],
  ])("%j is a keyword and the rest", (text, keyword, rest) => {
    expect(cutLine(text)).toMatchObject({ keyword, rest });
  });

  it.each(["", "   ", "# Port 22", "\t#x", "\r"])("%j says nothing", (text) => {
    expect(cutLine(text)).toBeUndefined();
  });
});

describe("words", () => {
  it.each([
    ["a b\tc", ["a", "b", "c"]],
    ['"a b" c', ["a b", "c"]],
    ["'a \"b' c", ['a "b', "c"]],
    ['a"b c"d', ["ab cd"]],
    ['""', [""]],
    ["a\\ b", ["a b"]],
    ['"a\\ b"', ["a\\ b"]],
    ["a\\\\b \\\"c \\'d \\e", ["a\\b", '"c', "'d", "\\e"]],
    ["a # b", ["a"]],
    ["a#b #c", ["a#b"]],
    ["a '#b'", ["a", "#b"]],
    ["", []],
  ])("%j", (text, words) => {
    expect(splitWords(text)).toEqual(words);
  });

  it.each(['"a', "a 'b", 'a "b\\"'])("%j has an open quote", (text) => {
    expect(splitWords(text)).toBeUndefined();
  });
});

describe("patterns", () => {
  it.each([
    ["web1", "web?", true],
    ["web", "web?", false],
    ["web12", "web*", true],
    ["web", "web*", true],
    ["a.b.c", "*.*.c", true],
    ["", "*", true],
    ["", "?", false],
    ["abc", "abc", true],
    ["abcd", "abc", false],
    ["xaxbxc", "*a*b*c", true],
    ["xaxbxcx", "*a*b*c", false],
    ["[a]", "[a]", true],
    ["a", "[a]", false],
    ["a+b", "a+b", true],
    ["*", "?", true],
  ])("%j %j", (text, pattern, expected) => {
    expect(matchesPattern(text, pattern)).toBe(expected);
  });

  it("many stars take no time to fail", () => {
    const start = performance.now();
    expect(matchesPattern("a".repeat(5000), "*a".repeat(200) + "b")).toBe(false);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it("a negated one decides wherever it stands", () => {
    expect(matchPatternList("db1", "db*,!db1")).toBe("denied");
    expect(matchPatternList("db1", "!db1,db*")).toBe("denied");
    expect(matchPatternList("db2", "!db1,db*")).toBe("match");
    expect(matchPatternList("web", "!db1")).toBe("none");
    expect(matchPatternList("Web", "web")).toBe("none");
    expect(matchesHostList("Web", "WEB")).toBe(true);
  });
});

describe("jumps", () => {
  it.each([
    ["gate", [{ host: "gate" }]],
    ["me@gate:2222", [{ user: "me", host: "gate", port: 2222 }]],
    ["me@[2001:db8::1]:22,b", [{ user: "me", host: "2001:db8::1", port: 22 }, { host: "b" }]],
    ["ssh://a%40b@gate:22/", [{ user: "a@b", host: "gate", port: 22 }]],
    ["me@corp@gate", [{ user: "me@corp", host: "gate" }]],
    ["%h-gate", [{ host: "%h-gate" }]],
  ])("%s", (text, hops) => {
    expect(parseJump(text)).toEqual(hops);
  });

  it.each([
    "",
    "a,,b",
    "@gate",
    "me@",
    "gate:0",
    "gate:99999",
    "gate:ssh:22",
    "-oX",
    "me@-x",
    "a b",
    "a;b",
    "$(x)",
    "2001:db8::1",
  ])("%j is none", (text) => {
    expect(parseJump(text)).toBeUndefined();
  });
});

describe("host names", () => {
  it.each([
    ["Web1.Example.COM", "web1.example.com"],
    ["127.1", "127.0.0.1"],
    ["10.0.258", "10.0.1.2"],
    ["0x7f.1", "127.0.0.1"],
    ["1.2.3.256", "1.2.3.256"],
    ["1.2.3.4.5", "1.2.3.4.5"],
    ["08.1.1.1", "08.1.1.1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:0:2:0:0:3:4", "1::2:0:0:3:4"],
    ["1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"],
    ["10:0:0:100:0:0:0:0", "10:0:0:100::"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["::FFFF:1.2.3.4", "::ffff:1.2.3.4"],
    ["fe80:0::1%eth0", "fe80::1%eth0"],
  ])("%s is %s", (given, normal) => {
    expect(normalHostName(given)).toBe(normal);
  });
});
