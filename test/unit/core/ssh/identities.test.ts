import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createKeyRing } from "../../../../src/core/ssh/identities.ts";
import { signCertificate } from "../../../../src/core/ssh/key/certificate.ts";
import { type PrivateKey, privateKeyOf } from "../../../../src/core/ssh/keys.ts";

it("an agent that takes the call and says nothing is a remark, once for all", async () => {
  const dir = await mkdtemp(join(tmpdir(), "ami-agent-"));
  const agent = join(dir, "silent");
  const calls: unknown[] = [];
  const server = createServer((socket) => void calls.push(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => server.listen(agent, resolve));
  try {
    const ring = createKeyRing({}, 50);
    const choice = {
      explicitFiles: [],
      identityFiles: [],
      identityFilesExplicit: false,
      certificateFiles: [],
      identitiesOnly: false,
      agent,
    };
    const answer = { list: [], problems: [`the agent at ${agent} does not answer (nothing was heard for 50 ms)`] };
    expect(await Promise.all([ring.identities(choice), ring.identities(choice)])).toEqual([answer, answer]);
    // Who waited so briefly may have given up before the call was taken.
    await expect.poll(() => calls.length, { timeout: 10_000 }).toBe(1);
  } finally {
    server.close();
    await rm(dir, { recursive: true });
  }
});

it("certificates that the config names are all there are: others stay unsaid, as with ssh", async () => {
  const dir = await mkdtemp(join(tmpdir(), "ami-named-"));
  try {
    const [key, ca] = [newKey(), newKey()];
    const made = ["named", "beside"].map((keyId) =>
      signCertificate(key, ca, {
        kind: "user",
        serial: 1n,
        keyId,
        principals: ["me"],
        after: 0,
        before: "forever",
        critical: {},
        extensions: {},
      }),
    );
    const paths = [join(dir, "named.pub"), join(dir, "id-cert.pub")];
    await Promise.all(
      paths.map((path, i) => writeFile(path, `${made[i]?.type} ${made[i]?.blob.toString("base64")}\n`)),
    );
    await writeFile(join(dir, "id"), key.object().export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    const offered = async (certificateFiles: string[]): Promise<string[]> => {
      const choice = {
        explicitFiles: [],
        identityFiles: [join(dir, "id")],
        identityFilesExplicit: true,
        certificateFiles,
        identitiesOnly: true,
        agent: undefined,
      };
      return (await createKeyRing({}).identities(choice)).list.map(({ from }) => from);
    };
    expect(await offered([])).toEqual([join(dir, "id-cert.pub"), join(dir, "id")]);
    expect(await offered([join(dir, "named.pub")])).toEqual([join(dir, "named.pub"), join(dir, "id")]);
  } finally {
    await rm(dir, { recursive: true });
  }
});

function newKey(): PrivateKey {
  return privateKeyOf(generateKeyPairSync("ed25519").privateKey);
}
