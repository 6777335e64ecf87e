import { describe, expect, it } from "vitest";
import { dialError } from "../../../../src/core/ssh/dial.ts";

describe("a connection that cannot be made", () => {
  const at = { name: "web1", host: "web1.example", port: 2222 };

  it.each([
    ["ENOTFOUND", /no machine named web1.example/, "no"],
    ["EAI_AGAIN", /web1.example could not be looked up/, "yes"],
    ["ECONNREFUSED", /web1.example:2222 refused/, "yes"],
    ["EHOSTUNREACH", /no way to reach web1.example:2222/, "yes"],
    ["ENETUNREACH", /no way to reach web1.example:2222/, "yes"],
    ["ETIMEDOUT", /web1.example:2222 did not answer/, "yes"],
    ["ECONNRESET", /web1.example:2222 cut the connection/, "yes"],
    ["EADDRNOTAVAIL", /from the address asked for/, "no"],
    ["EMFILE", /cannot connect to web1.example:2222: too many files/, "yes"],
  ] as const)("%s", (code, message, retry) => {
    const error = Object.assign(new Error("too many files"), { code });
    const made = dialError(error, at);
    expect([made.code, made.host, made.retry, made.cause]).toEqual(["ssh.connect", "web1", retry, error]);
    expect(made.message).toMatch(message);
  });

  it("of several addresses the first error counts", () => {
    const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    expect(dialError(new AggregateError([refused, new Error("other")]), at).message).toMatch(/refused the connection/);
    expect(dialError("nonsense", { ...at, host: "2001:db8::1" }).message).toBe(
      "cannot connect to [2001:db8::1]:2222: nonsense",
    );
  });
});
