import { describe, expect, it } from "vitest";
import { AmiError } from "../../../src/core/errors.ts";
import { errorJsonText, errorText } from "../../../src/ui/error.ts";

describe("an error", () => {
  it("says what failed, where, and what to try", () => {
    const error = new AmiError("ssh.auth", "no key was accepted", { host: "web1", hint: "add a key\nor a password" });
    expect(errorText(error)).toBe("error: web1: no key was accepted\n  hint: add a key\n        or a password\n");
    expect(errorJsonText({ code: "x", message: "m", retry: "no" })).toBe("error: m\n");
  });

  it("does not name a host twice", () => {
    expect(errorText(new AmiError("ssh.connect", "web1: refused", { host: "web1" }))).toBe("error: web1: refused\n");
  });

  it("cannot harm a terminal, whatever the file is called that it speaks of", () => {
    const error = new AmiError("host.file", "/tmp/\x1b]0;x\x07: it is a folder", { hint: "look at \x1b[2J" });
    expect(errorText(error)).toBe("error: /tmp/\\x1b]0;x\\x07: it is a folder\n  hint: look at \\x1b[2J\n");
  });

  it("keeps its lines together", () => {
    expect(errorText(new AmiError("blueprint.invalid", "a.yaml:1:1 x\na.yaml:2:1 y"))).toBe(
      "error: a.yaml:1:1 x\n       a.yaml:2:1 y\n",
    );
  });

  it("tells its causes with --verbose only", () => {
    const root = new Error("ECONNREFUSED");
    const error = new AmiError("ssh.connect", "refused", { cause: new Error("dial", { cause: root }) });
    expect(errorText(error)).toBe("error: refused\n");
    const verbose = errorText(error, { verbose: true });
    expect(verbose).toContain("cause: Error: dial");
    expect(verbose).toContain("cause: ECONNREFUSED");
  });

  it("tells causes that are no errors, and ends in a circle of them", () => {
    expect(errorText(new AmiError("run.failed", "x", { cause: { exit: 1 } }), { verbose: true })).toContain(
      'cause: {"exit":1}',
    );
    const circle = new Error("round");
    circle.cause = circle;
    expect(
      errorText(new AmiError("run.failed", "x", { cause: circle }), { verbose: true }).match(/cause:/g),
    ).toHaveLength(8);
  });

  it("of ours comes with its stack and asks to be reported", () => {
    const text = errorText(new TypeError("x is not a function"));
    expect(text).toMatch(/^error: x is not a function\n {2}TypeError: x is not a function\n {6}at /);
    expect(text).toContain("please report it");
  });

  it("an abort is an interruption", () => {
    expect(errorText(new DOMException("This operation was aborted", "AbortError"))).toBe("error: interrupted\n");
  });
});
