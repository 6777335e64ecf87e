/** Which host certificates are no way in, though their authority is known; those of a real sshd are in test/integration. */
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { resolveAlone } from "../../../../src/core/ssh/config/resolve.ts";
import { judgeHostKey } from "../../../../src/core/ssh/host-key.ts";
import { hashName } from "../../../../src/core/ssh/known-hosts.ts";
import { signCertificate } from "../../../../src/core/ssh/key/certificate.ts";
import { type PublicKey, privateKeyOf } from "../../../../src/core/ssh/keys.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-host-key-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const newKey = (): ReturnType<typeof privateKeyOf> => privateKeyOf(generateKeyPairSync("ed25519").privateKey);
const [ca, key] = [newKey(), newKey()];
const certificate = signCertificate(key, ca, {
  kind: "host",
  serial: 1n,
  keyId: "box",
  principals: ["box"],
  after: 0,
  before: "forever",
  critical: {},
  extensions: {},
});
const line = ({ type, blob }: PublicKey): string => `${type} ${blob.toString("base64")}`;

/** With these known hosts and lines of config. Resolves with what then stands in known hosts. */
async function judge(shown: Buffer, known: readonly string[], ...lines: string[]): Promise<string> {
  return judgeAs({ acceptNew: true }, shown, known, ...lines);
}

async function judgeAs(
  options: { acceptNew?: boolean },
  shown: Buffer,
  known: readonly string[],
  ...lines: string[]
): Promise<string> {
  const [configFile, knownHosts] = [join(dir, "config"), join(dir, "known")];
  await writeFile(knownHosts, known.map((each) => `${each}\n`).join(""));
  await writeFile(configFile, [...lines, `UserKnownHostsFile ${knownHosts}`, "GlobalKnownHostsFile none"].join("\n"));
  const { config } = await resolveAlone("box", { configFile, home: dir, localUser: "me", env: {} });
  await judgeHostKey({
    name: "box",
    config,
    address: undefined,
    key: shown,
    options,
    ask: undefined,
    pause: (work) => work(),
  });
  return readFile(knownHosts, "utf8");
}

const authority = `@cert-authority box ${line(ca)}`;

it("a good certificate is believed, and nothing is written down", async () => {
  expect(await judge(certificate.blob, [authority])).toBe(`${authority}\n`);
});

it("a plain key in its place is unknown, whoever shows it", async () => {
  for (const shown of [key.blob, newKey().blob])
    await expect(judgeAs({}, shown, [authority])).rejects.toMatchObject({ code: "hostkey.unknown" });
});

it.each<[string, string, boolean]>([
  ["box", "", true],
  [hashName("box"), "", true],
  [hashName("[box]:2222"), "Port 2222", true],
  ["[box]:2222", "Port 2222", true],
  ["box", "Port 2222", true], // as with ssh
  ["[box]:2222", "", false],
  ["[box]:2223", "Port 2222", false],
  ["*,!box", "", false],
  ["!box,*", "", false],
  ["*x,!other", "", true],
  ["other", "HostKeyAlias box\nHostName other", false],
  ["box", "HostKeyAlias box\nHostName other", true],
  ["box", "HostName other", false],
])("an authority for %s, with %j in the config, is believed: %s", async (names, config, isBelieved) => {
  const judged = judgeAs({}, certificate.blob, [`@cert-authority ${names} ${line(ca)}`], config);
  if (isBelieved) await judged;
  else await expect(judged).rejects.toMatchObject({ code: "hostkey.unknown" });
});

it("a key of known hosts without the mark is no authority, and one with the mark no key", async () => {
  await expect(judgeAs({}, certificate.blob, [`box ${line(ca)}`])).rejects.toMatchObject({ code: "hostkey.changed" });
  await expect(judgeAs({}, ca.blob, [authority])).rejects.toMatchObject({ code: "hostkey.unknown" });
});

it("one that cannot be read is never taken for a new key", async () => {
  for (const known of [[], [authority]]) {
    const cut = certificate.blob.subarray(0, -1);
    await expect(judge(cut, known)).rejects.toMatchObject({ code: "ssh.protocol" });
    expect(await readFile(join(dir, "known"), "utf8")).toBe(known.map((each) => `${each}\n`).join(""));
  }
});

it("a list of revoked keys may hold the certificate itself", async () => {
  await writeFile(join(dir, "revoked"), `${line(certificate)}\n`);
  const judged = judge(certificate.blob, [authority], `RevokedHostKeys ${join(dir, "revoked")}`);
  await expect(judged).rejects.toMatchObject({ code: "hostkey.revoked" });
});

it("a certificate marked as revoked revokes its key, with whatever certificate it comes", async () => {
  const known = [authority, `@revoked * ${line(certificate)}`];
  for (const shown of [certificate.blob, key.blob])
    await expect(judge(shown, known)).rejects.toMatchObject({ code: "hostkey.revoked" });
});

it("CASignatureAlgorithms says how it may be signed", async () => {
  const known = [authority, `box ${line(newKey())}`];
  await judge(certificate.blob, known, "CASignatureAlgorithms ssh-ed25519");
  await expect(judge(certificate.blob, known, "CASignatureAlgorithms rsa-sha2-512")).rejects.toMatchObject({
    code: "hostkey.changed",
  });
});
