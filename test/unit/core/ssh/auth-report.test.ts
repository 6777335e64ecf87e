import { describe, expect, it } from "vitest";
import { type AuthReport, authError } from "../../../../src/core/ssh/auth-report.ts";
import type { Identity } from "../../../../src/core/ssh/identities.ts";

describe("what a failed login says", () => {
  const key: Identity = {
    from: "/home/me/.ssh/id_ed25519",
    public: { type: "ssh-ed25519", blob: Buffer.from("key") },
    ready: undefined,
    unlock: () => Promise.resolve(undefined),
  };
  const report: AuthReport = {
    name: "web1",
    user: "me",
    host: "10.0.0.1",
    tried: new Set(["none"]),
    offered: [],
    accepts: ["publickey"],
    notes: [],
    canAsk: false,
  };

  it.each<[string, Partial<AuthReport>, string | undefined, RegExp]>([
    ["no key", {}, undefined, /make one: ami-node ssh key generate/],
    [
      "wrong key",
      { tried: new Set(["publickey"]), offered: [key] },
      undefined,
      /add one of the keys to ~\/.ssh\/authorized_keys of me/,
    ],
    ["nobody to ask", { accepts: ["publickey", "password"] }, undefined, /--ask-pass/],
    ["nobody to ask, by PAM", { accepts: ["keyboard-interactive"] }, undefined, /--ask-pass/],
    [
      "wrong password",
      { accepts: ["password"], canAsk: true, tried: new Set(["password"]) },
      undefined,
      /is me the right user/,
    ],
    ["too many keys", { offered: [key] }, "Too many authentication failures", /IdentitiesOnly/],
  ])("%s gets its hint", (_, more, saying, hint) => {
    const error = authError({ ...report, ...more }, saying);
    expect([error.code, error.host, error.retry]).toEqual(["ssh.auth", "web1", "no"]);
    expect(error.hint).toMatch(hint);
  });

  it("lists what was tried, what was offered and what was in the way", () => {
    const full = { ...report, tried: new Set(["none", "publickey"]), offered: [key], notes: ["a note"] };
    expect(authError(full, "bye").message).toBe(
      "me@10.0.0.1 did not let us in: bye\n" +
        "  tried publickey; the server accepts publickey\n" +
        "  offered ssh-ed25519 SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM (/home/me/.ssh/id_ed25519)\n" +
        "  a note",
    );
  });
});
