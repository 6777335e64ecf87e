import { describe, expect, it } from "vitest";
import { createEscapes, escapeHelp } from "../../../src/core/escape.ts";

/** Everything sent and asked when the text is typed in one piece, and key by key: it must be the same. */
function typed(text: string) {
  const inOne = createEscapes()(Buffer.from(text));
  const escapes = createEscapes();
  let sent = "";
  const asked: string[] = [];
  for (const key of text) {
    const { send, asks } = escapes(Buffer.from(key));
    sent += send.toString();
    if (asks !== undefined) asked.push(asks);
    if (asks === "close") break;
  }
  expect(inOne.send.toString()).toBe(sent);
  expect(inOne.asks).toBe(asked.at(-1));
  return { sent, asks: asked.at(-1) };
}

describe("escapes in what is typed", () => {
  it.each([
    ["ls\r", "ls\r", undefined],
    ["~.", "", "close"],
    ["ls\r~.", "ls\r", "close"],
    ["ls\n~.rm -rf /\r", "ls\n", "close"],
    ["~~", "~", undefined],
    ["~~.", "~.", undefined],
    ["~?", "", "help"],
    ["~?~.", "", "close"],
    ["~x", "~x", undefined],
    ["~x~.", "~x~.", undefined],
    ["cd ~.", "cd ~.", undefined],
    ["cd ~/x\r~.", "cd ~/x\r", "close"],
    ["~\r", "~\r", undefined],
    ["~\r~.", "~\r", "close"],
    ["ü~.", "ü~.", undefined],
  ])("%j sends %j and asks for %s", (text, sent, asks) => {
    expect(typed(text)).toEqual({ sent, asks });
  });

  it.each([
    ["%", "~.\r%.", "~.\r", "close"],
    ["%", "%%", "%", undefined],
    ["\x1d", "ls\r\x1d?", "ls\r", "help"],
    ["none", "~.\r~?", "~.\r~?", undefined],
  ])("with %j in place of the tilde, %j sends %j and asks for %s", (key, text, sent, asks) => {
    const { send, asks: asked } = createEscapes(key)(Buffer.from(text));
    expect([send.toString(), asked]).toEqual([sent, asks]);
  });

  it("are listed by the key they begin with", () => {
    expect(escapeHelp()).toContain("~. close");
    expect(escapeHelp("\x1d")).toContain("^]? this help");
  });

  it("holds a tilde back until the next key says what it is", () => {
    const escapes = createEscapes();
    expect(escapes(Buffer.from("~")).send).toHaveLength(0);
    expect(escapes(Buffer.from("a")).send.toString()).toBe("~a");
  });
});
