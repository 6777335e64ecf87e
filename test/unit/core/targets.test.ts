import { describe, expect, it } from "vitest";
import { AmiError } from "../../../src/core/errors.ts";
import { parseTarget } from "../../../src/core/targets.ts";

describe("an address", () => {
  it.each([
    ["web1", { host: "web1" }],
    ["  web1 ", { host: "web1", name: "web1" }],
    ["root@web1", { host: "web1", user: "root" }],
    ["web1:2222", { host: "web1", port: 2222 }],
    ["root@10.0.0.1:2222", { host: "10.0.0.1", user: "root", port: 2222 }],
    ["2001:db8::1", { host: "2001:db8::1" }],
    ["root@2001:db8::1", { host: "2001:db8::1", user: "root" }],
    ["[2001:db8::1]", { host: "2001:db8::1" }],
    ["root@[2001:db8::1]:22", { host: "2001:db8::1", user: "root", port: 22 }],
    ["fe80::1%eth0", { host: "fe80::1%eth0" }],
    ["ssh://root@web1:2222", { host: "web1", user: "root", port: 2222 }],
    ["ssh://web1/", { host: "web1" }],
    ["me@corp.example@web1", { host: "web1", user: "me@corp.example" }],
    ["localhost", { host: "localhost" }],
  ])("%s", (word, parts) => {
    expect(parseTarget(word)).toEqual({ kind: "ssh", name: word.trim(), vars: {}, groups: [], ...parts });
  });

  it("local is this machine", () => {
    expect(parseTarget("local")).toEqual({ kind: "local", name: "local", vars: {} });
  });

  it.each([
    ["", "a name is missing"],
    ["root@", "a name is missing"],
    ["@web1", "a name is missing"],
    [":22", "a name is missing"],
    ["web1:", "the port  is not 1-65535"],
    ["web1:0", "the port 0 is not 1-65535"],
    ["web1:65536", "the port 65536 is not 1-65535"],
    ["web1:ssh", "the port ssh is not 1-65535"],
    ["web1:0x16", "the port 0x16 is not 1-65535"],
    ["docker://box", "the scheme docker:// is not known here"],
    ["-oProxyCommand=x", "characters"],
    ["root@-x", "characters"],
    ["-l@web1", "characters"],
    ["a b", "characters"],
    ["a;b", "characters"],
    ["$(id)@web1", "characters"],
    ["web`id`", "characters"],
    ["web*", "characters"],
    ["web[1-3", "characters"],
    ["web{1", "braces mean nothing here"],
    ["!web1", "characters"],
    ["ssh://web1/path", "characters"],
  ])("%j is none", (word, why) => {
    expect(() => parseTarget(word)).toThrow(AmiError);
    expect(() => parseTarget(word)).toThrow(why);
  });
});
