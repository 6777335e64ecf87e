/** Against files and keys that OpenSSH itself has made. */
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type HostKeyQuestion,
  addHostKey,
  checkHostKey,
  fingerprint,
  keyType,
  knownKeyTypes,
} from "../../../../src/core/ssh/known-hosts.ts";
import { needs } from "../../../servers/engines.ts";

interface Key {
  /** `ssh-ed25519 AAAA...` */
  readonly text: string;
  readonly raw: Buffer;
  /** As ssh-keygen -l prints it. */
  readonly print: string;
}

needs("sshd")("known hosts", () => {
  let dir = "";
  let file = "";
  let ed: Key;
  let ed2: Key;
  let rsa: Key;
  let ec: Key;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-known-"));
    [ed, ed2, rsa, ec] = await Promise.all([
      makeKey("ed25519", "a"),
      makeKey("ed25519", "b"),
      makeKey("rsa", "c"),
      makeKey("ecdsa", "d"),
    ]);
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  beforeEach(async () => {
    file = join(await mkdtemp(join(dir, "case-")), "known_hosts");
  });

  async function makeKey(type: string, name: string): Promise<Key> {
    const path = join(dir, name);
    await keygen("-q", "-t", type, "-N", "", "-C", "a comment", "-f", path);
    const text = (await readFile(`${path}.pub`, "utf8")).split(" ").slice(0, 2).join(" ");
    const print = (await keygen("-l", "-f", `${path}.pub`)).split(" ")[1] ?? "";
    return { text, raw: Buffer.from(text.split(" ")[1] ?? "", "base64"), print };
  }

  const ask = (host: string, key: Key, more: Partial<HostKeyQuestion> = {}): ReturnType<typeof checkHostKey> =>
    checkHostKey({ host, port: 22, key: key.raw, userFiles: [file], globalFiles: [], ...more });

  const write = (...lines: readonly string[]): Promise<void> =>
    writeFile(file, lines.map((line) => `${line}\n`).join(""));

  it("fingerprints and types are those ssh-keygen prints", () => {
    expect([ed, rsa, ec].map((key) => fingerprint(key.raw))).toEqual([ed, rsa, ec].map((key) => key.print));
    expect([ed, rsa, ec].map((key) => keyType(key.raw))).toEqual(["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"]);
    expect(keyType(Buffer.from("not a key at all"))).toBe("");
    expect(keyType(Buffer.alloc(0))).toBe("");
  });

  describe("a key is", () => {
    it("known when a line says so, and the line is named", async () => {
      await write("# comment", "", `other ${ed2.text}`, `  web1 ${ed.text} with a comment`);
      expect(await ask("web1", ed)).toEqual({
        state: "known",
        file,
        line: 4,
        knownFingerprints: [ed.print],
        keyTypes: ["ssh-ed25519"],
        certAuthority: undefined,
        elsewhere: [],
      });
    });

    it("unknown when no line speaks for the host", async () => {
      await write(`other ${ed2.text}`);
      expect(await ask("web1", ed)).toMatchObject({
        state: "unknown",
        knownFingerprints: [],
        keyTypes: [],
        elsewhere: [],
      });
    });

    it("unknown when there are no files", async () => {
      expect(await ask("web1", ed)).toMatchObject({ state: "unknown" });
      expect(await ask("web1", ed, { userFiles: [], globalFiles: ["/dev/null"] })).toMatchObject({ state: "unknown" });
    });

    it("changed when another key of its type is known, and the line of that one is named", async () => {
      await write(`web1 ${rsa.text}`, `web1 ${ed2.text}`, `web1 ${ec.text}`);
      expect(await ask("web1", ed)).toMatchObject({
        state: "changed",
        file,
        line: 2,
        knownFingerprints: [rsa.print, ed2.print, ec.print],
        keyTypes: ["ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256"],
      });
    });

    it("changed when only keys of other types are known, as for ssh", async () => {
      await write(`web1 ${rsa.text}`);
      expect(await ask("web1", ed)).toMatchObject({ state: "changed", line: 1, keyTypes: ["ssh-rsa"] });
    });

    it("known when one of several keys fits", async () => {
      await write(`web1 ${ed2.text}`, `web1 ${rsa.text}`, `web1 ${ed.text}`);
      expect(await ask("web1", ed)).toMatchObject({ state: "known", line: 3 });
    });

    it("known from any of the files, the user's first", async () => {
      const other = `${file}.global`;
      await writeFile(other, `web1 ${ed.text}\n`);
      expect(await ask("web1", ed, { userFiles: [`${file}.missing`], globalFiles: [other] })).toMatchObject({
        state: "known",
        file: other,
      });
      await write(`web1 ${ed2.text}`);
      expect(await ask("web1", ed, { globalFiles: [other] })).toMatchObject({ state: "known", file: other });
    });

    it("revoked when marked so, even where another line knows it", async () => {
      await write(`web1 ${ed.text}`, `@revoked * ${ed.text}`);
      expect(await ask("web1", ed)).toMatchObject({ state: "revoked", file, line: 2 });
      expect(await ask("web1", ed2)).toMatchObject({ state: "changed" });
    });

    it("revoked only for the hosts the line names", async () => {
      await write(`@revoked web2,web3 ${ed.text}`, `web1 ${ed.text}`);
      expect(await ask("web1", ed)).toMatchObject({ state: "known" });
      expect(await ask("web2", ed)).toMatchObject({ state: "revoked" });
    });

    it("revoked by the address, and by the name without its port", async () => {
      await write(`@revoked 192.0.2.1 ${ed.text}`, `@revoked gate ${ec.text}`);
      expect(await ask("web1", ed, { address: "192.0.2.1" })).toMatchObject({ state: "revoked", line: 1 });
      expect(await ask("gate", ec, { port: 2222 })).toMatchObject({ state: "revoked", line: 2 });
    });

    it("revoked by the address and the port", async () => {
      await write(`@revoked [192.0.2.1]:2222 ${ed.text}`);
      expect(await ask("web1", ed, { address: "192.0.2.1", port: 2222 })).toMatchObject({ state: "revoked", line: 1 });
      expect(await ask("web1", ed, { address: "192.0.2.1" })).toMatchObject({ state: "unknown" });
    });

    it("not known by a certificate authority; that is said instead", async () => {
      await write(`@cert-authority *.example.com ${ed.text}`);
      expect(await ask("a.example.com", ed)).toMatchObject({ state: "unknown", certAuthority: { file, line: 1 } });
      expect(await ask("a.example.org", ed)).toMatchObject({ state: "unknown", certAuthority: undefined });
    });

    it("found under other names when the host is new", async () => {
      await write(`old-name,192.0.2.7 ${ed.text}`, `@revoked foo ${ed.text}`);
      expect((await ask("web1", ed)).elsewhere).toEqual([{ file, line: 1, names: "old-name,192.0.2.7" }]);
    });
  });

  describe("names", () => {
    it.each([
      ["web1", "web1", true],
      ["WEB1", "web1", true],
      ["web1", "WEB1", true],
      ["a,web1,b", "web1", true],
      ["web*", "web1", true],
      ["web?", "web12", false],
      ["web*,!web1", "web1", false],
      ["!web1,web*", "web2", true],
      ["192.0.2.*", "192.0.2.9", true],
      ["2001:db8::1", "2001:db8::1", true],
      ["web1.example.com", "web1", false],
    ])("%s for %s: %s", async (names, host, known) => {
      await write(`${names} ${ed.text}`);
      expect((await ask(host, ed)).state).toBe(known ? "known" : "unknown");
    });

    it("with a port stand in brackets", async () => {
      await write(`[web1]:2222,[2001:db8::1]:2222 ${ed.text}`, `[web*]:2200 ${ed2.text}`);
      expect(await ask("web1", ed, { port: 2222 })).toMatchObject({ state: "known" });
      expect(await ask("2001:db8::1", ed, { port: 2222 })).toMatchObject({ state: "known" });
      expect(await ask("web1", ed)).toMatchObject({ state: "unknown" });
      expect(await ask("web9", ed2, { port: 2200 })).toMatchObject({ state: "known" });
      expect(await ask("web1", ed, { port: 2200 })).toMatchObject({ state: "changed" });
    });

    it("without the port count when the key is the same, and say nothing when it is not", async () => {
      await write(`web1 ${ed.text}`);
      expect(await ask("web1", ed, { port: 2222 })).toMatchObject({
        state: "known",
        line: 1,
        keyTypes: ["ssh-ed25519"],
      });
      expect(await ask("web1", ed2, { port: 2222 })).toMatchObject({ state: "unknown" });
      await write(`web1 ${ed.text}`, `[web1]:2222 ${ed2.text}`);
      expect(await ask("web1", ed, { port: 2222 })).toMatchObject({ state: "changed", line: 2 });
    });

    it("give way to HostKeyAlias, whatever the port", async () => {
      await write(`the-alias ${ed.text}`, `web1 ${ed2.text}`);
      expect(await ask("web1", ed, { port: 2222, hostKeyAlias: "The-Alias" })).toMatchObject({
        state: "known",
        line: 1,
      });
      expect(await ask("web1", ed2, { hostKeyAlias: "the-alias" })).toMatchObject({ state: "changed", line: 1 });
    });

    it("hashed by ssh-keygen -H are found, with and without port", async () => {
      await write(`web1,192.0.2.1 ${ed.text}`, `[web2]:2222 ${ec.text}`, `other ${rsa.text}`);
      await keygen("-q", "-H", "-f", file);
      expect(await readFile(file, "utf8")).not.toContain("web");
      expect(await ask("web1", ed)).toMatchObject({ state: "known", line: 1 });
      expect(await ask("192.0.2.1", ed)).toMatchObject({ state: "known", line: 2 });
      expect(await ask("web2", ec, { port: 2222 })).toMatchObject({ state: "known", line: 3 });
      expect(await ask("WEB1", ed2)).toMatchObject({ state: "changed" });
      expect(await ask("web3", ed)).toMatchObject({ state: "unknown" });
    });

    it("hashed with a salt of the wrong size are passed over", async () => {
      const salt = Buffer.alloc(8, 7);
      const hash = createHmac("sha1", salt).update("web1").digest("base64");
      await write(`|1|${salt.toString("base64")}|${hash} ${ed.text}`, `|2|x|y ${ed.text}`, `|1| ${ed.text}`);
      expect(await ask("web1", ed)).toMatchObject({ state: "unknown" });
    });
  });

  describe("lines", () => {
    it("that are broken are passed over", async () => {
      await write(
        "web1",
        "web1 ssh-ed25519",
        "web1 ssh-ed25519 !!!notbase64!!!",
        `web1 ssh-rsa ${ed.text.split(" ")[1]}`,
        `@unheard-of web1 ${ed2.text}`,
        "web1 2048 35 12345678901234567890",
        `web1 ${ed.text.slice(0, 40)}`,
        `web1 ${ed.text}`,
      );
      expect(await ask("web1", ed)).toMatchObject({ state: "known", line: 8, knownFingerprints: [ed.print] });
    });

    it("may end in CRLF, be indented by tabs, and lack the last newline", async () => {
      await writeFile(
        file,
        `# x\r\n\tweb1\t${ed.text.replace(" ", "\t")}\r\n@revoked\tweb2 ${ec.text}\r\nweb3 ${rsa.text}`,
      );
      expect(await ask("web1", ed)).toMatchObject({ state: "known", line: 2 });
      expect(await ask("web2", ec)).toMatchObject({ state: "revoked", line: 3 });
      expect(await ask("web3", rsa)).toMatchObject({ state: "known", line: 4 });
    });

    it.runIf(process.getuid?.() !== 0)("that cannot be read are not taken for absent", async () => {
      await write(`web1 ${ed.text}`);
      await chmod(file, 0);
      await expect(ask("web1", ed)).rejects.toMatchObject({ code: "config.invalid" });
    });

    it("of a file that cannot be followed are not taken for absent", async () => {
      await symlink(file, file);
      await expect(ask("web1", ed)).rejects.toMatchObject({
        code: "config.invalid",
        message: expect.stringContaining(file),
      });
    });
  });

  describe("types recorded for a host", () => {
    it("come in the order of the files, without revoked ones and authorities", async () => {
      await write(
        `@revoked web1 ${ec.text}`,
        `web1 ${rsa.text}`,
        `@cert-authority web1 ${ec.text}`,
        `web* ${ed.text}`,
        `web1 ${ed2.text}`,
      );
      const question = { host: "web1", userFiles: [file], globalFiles: [] };
      expect(await knownKeyTypes({ ...question, port: 22 })).toEqual(["ssh-rsa", "ssh-ed25519"]);
      expect(await knownKeyTypes({ ...question, port: 2222 })).toEqual(["ssh-rsa", "ssh-ed25519"]);
      expect(await knownKeyTypes({ ...question, port: 22, hostKeyAlias: "nobody" })).toEqual([]);
    });
  });

  describe("adding a key", () => {
    it("makes a file ssh-keygen finds the host in, private, in a private folder", async () => {
      const fresh = join(dir, "home", ".ssh", "known_hosts");
      expect(await addHostKey({ file: fresh, host: "Web1", port: 22, key: ed.raw, hash: false })).toBe(true);
      expect(await addHostKey({ file: fresh, host: "web1", port: 2222, key: ec.raw, hash: false })).toBe(true);
      expect(await readFile(fresh, "utf8")).toBe(`web1 ${ed.text}\n[web1]:2222 ${ec.text}\n`);
      expect(((await stat(fresh)).mode & 0o777).toString(8)).toBe("600");
      expect(((await stat(join(dir, "home", ".ssh"))).mode & 0o777).toString(8)).toBe("700");
      expect(await keygen("-F", "web1", "-f", fresh)).toContain("found: line 1");
      expect(await keygen("-F", "[web1]:2222", "-f", fresh)).toContain("found: line 2");
      expect(await keygen("-l", "-F", "web1", "-f", fresh)).toContain(ed.print);
    });

    it("hashed, hides the name and is found by ssh-keygen and by us", async () => {
      await addHostKey({ file, host: "web1", port: 22, key: ed.raw, hash: true });
      await addHostKey({ file, host: "web1", port: 2222, key: ec.raw, hash: true });
      const text = await readFile(file, "utf8");
      expect(text).not.toContain("web1");
      expect(text).toMatch(/^\|1\|[A-Za-z0-9+/]{27}=\|[A-Za-z0-9+/]{27}= ssh-ed25519 /);
      expect(await keygen("-F", "web1", "-f", file)).toContain("found: line 1");
      expect(await keygen("-F", "[web1]:2222", "-f", file)).toContain("found: line 2");
      expect(await ask("web1", ed)).toMatchObject({ state: "known", line: 1 });
      expect(await ask("web1", ec, { port: 2222 })).toMatchObject({ state: "known", line: 2 });
    });

    it("is undone by ssh-keygen -R", async () => {
      await addHostKey({ file, host: "web1", port: 22, key: ed.raw, hash: true });
      await addHostKey({ file, host: "web2", port: 22, key: ed2.raw, hash: false });
      await keygen("-R", "web1", "-f", file);
      expect(await ask("web1", ed)).toMatchObject({ state: "unknown" });
      expect(await ask("web2", ed2)).toMatchObject({ state: "known" });
    });

    it("is recorded under the alias when there is one", async () => {
      await addHostKey({ file, host: "web1", port: 2222, hostKeyAlias: "the-alias", key: ed.raw, hash: false });
      expect(await readFile(file, "utf8")).toBe(`the-alias ${ed.text}\n`);
    });

    it("twice adds one line", async () => {
      expect(await addHostKey({ file, host: "web1", port: 22, key: ed.raw, hash: true })).toBe(true);
      expect(await addHostKey({ file, host: "web1", port: 22, key: ed.raw, hash: false })).toBe(false);
      expect((await readFile(file, "utf8")).trimEnd().split("\n")).toHaveLength(1);
    });

    it("ends a last line that was cut short, and keeps mode and content", async () => {
      await writeFile(file, `other ${ed2.text}`, { mode: 0o644 });
      await addHostKey({ file, host: "web1", port: 22, key: ed.raw, hash: false });
      expect(await readFile(file, "utf8")).toBe(`other ${ed2.text}\nweb1 ${ed.text}\n`);
      expect(((await stat(file)).mode & 0o777).toString(8)).toBe("644");
    });

    it("from many places at once loses none and breaks no line", async () => {
      await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          addHostKey({ file, host: `web${n}`, port: 22, key: ed.raw, hash: n % 2 === 0 }),
        ),
      );
      const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
      expect(lines).toHaveLength(40);
      for (let n = 0; n < 40; n++) expect(await ask(`web${n}`, ed)).toMatchObject({ state: "known" });
    });

    it("to /dev/null is fine and leaves it as it is", async () => {
      const before = (await stat("/dev/null")).mode;
      expect(await addHostKey({ file: "/dev/null", host: "web1", port: 22, key: ed.raw, hash: false })).toBe(true);
      expect((await stat("/dev/null")).mode).toBe(before);
    });

    it.each(["web*", "a,b", "we b", "@x", "[x]", "#x", "", "x\n@revoked"])(
      "under the name %j is refused",
      async (host) => {
        await expect(addHostKey({ file, host, port: 22, key: ed.raw, hash: false })).rejects.toMatchObject({
          code: "config.invalid",
        });
        await expect(stat(file)).rejects.toMatchObject({ code: "ENOENT" });
      },
    );

    it("to a place that cannot be written says so", async () => {
      await write("x");
      const below = join(file, "known_hosts");
      await expect(addHostKey({ file: below, host: "web1", port: 22, key: ed.raw, hash: false })).rejects.toMatchObject(
        {
          code: "config.invalid",
          message: expect.stringContaining(`known hosts file ${below} cannot be written`),
        },
      );
    });
  });
});

async function keygen(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)("ssh-keygen", [...args])).stdout;
}
