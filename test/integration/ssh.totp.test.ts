/** A server that asks for a password and then for a one-time code, through a real PAM module that only it sees. */
import { createHmac } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Secret } from "../../src/core/secret.ts";
import type { Ask, Question } from "../../src/core/ssh/options.ts";
import { createSshPool } from "../../src/core/ssh/pool.ts";
import { needs } from "../servers/engines.ts";
import { type Account, type Sshd, createAccount, startSshd } from "../servers/sshd.ts";

needs(
  "sshd",
  "root",
  "useradd",
  "totp",
)("a password and a one-time code", () => {
  const key = Buffer.from("12345678901234567890");
  const base32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
  let dir: string;
  let account: Account;
  let server: Sshd;
  beforeAll(async () => {
    account = await createAccount();
    dir = await mkdtemp(join(tmpdir(), "ami-totp-"));
    const secret = join(dir, "secret");
    await writeFile(secret, `${base32}\n" TOTP_AUTH\n`, { mode: 0o600 });
    const pam = join(dir, "pam.d");
    await mkdir(pam);
    const lines = [
      "auth required pam_unix.so nodelay",
      `auth required pam_google_authenticator.so secret=${secret} user=root`,
      "account required pam_permit.so",
      "session required pam_permit.so",
    ];
    await writeFile(join(pam, "sshd"), `${lines.join("\n")}\n`);
    await chmod(dir, 0o755);
    const config = ["UsePAM yes", "KbdInteractiveAuthentication yes", "PubkeyAuthentication no"];
    server = await startSshd({ config, mounts: { "/etc/pam.d": pam } });
  });
  afterAll(async () => {
    await server?.stop();
    await account?.remove();
    await rm(dir, { recursive: true, force: true });
  });

  const login = async (code: () => string): Promise<{ kinds: Question["kind"][]; said: string; again: unknown }> => {
    const kinds: Question["kind"][] = [];
    const ask: Ask = async ({ kind, text }) => {
      kinds.push(kind);
      return new Secret(text.includes("code") ? code() : account.password);
    };
    const pool = createSshPool({ configFile: server.configFile, env: {}, ask });
    try {
      const { link } = await pool.link({ name: "box", host: "box", user: account.name });
      const session = await link.session({ command: "id -un" });
      session.stdin.end();
      session.stderr.resume();
      const said = Buffer.concat(await session.stdout.toArray()).toString();
      // One code is one login: what else is wanted shares its connection and asks nobody.
      const more = await Promise.all(Array.from({ length: 12 }, () => link.session({ command: "exit 3" })));
      return { kinds, said, again: await Promise.all(more.map(({ exit }) => exit)) };
    } finally {
      await pool.close();
    }
  };

  it("are each asked for once, and all work shares that login", async () => {
    const { kinds, said, again } = await login(() => totp(key));
    expect([said, kinds]).toEqual([`${account.name}\n`, ["password", "challenge"]]);
    expect(again).toEqual(Array.from({ length: 12 }, () => ({ code: 3 })));
    expect(server.log().match(/Accepted keyboard-interactive/g)).toHaveLength(1);
  });

  it("a wrong code lets nobody in", async () => {
    await expect(login(() => "000000")).rejects.toMatchObject({ code: "ssh.auth" });
  });
});

/** RFC 6238: six digits that change every 30 seconds. */
function totp(key: Buffer): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const at = (digest.at(-1) ?? 0) & 15;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
