/** How the ssh of this machine is chosen, told and understood; what it does is in test/integration/ssh.system.test.ts. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveAlone } from "../../../../src/core/ssh/config/resolve.ts";
import type { SshConfig } from "../../../../src/core/ssh/config/ssh-config.ts";
import { packets, sendPayload } from "../../../../src/core/ssh/packets.ts";
import { adopt } from "../../../../src/core/ssh/system/adopt.ts";
import { createAskpassReader, questionOf } from "../../../../src/core/ssh/system/askpass.ts";
import { chooseTransport } from "../../../../src/core/ssh/system/choose.ts";
import { shortFolder } from "../../../../src/core/ssh/system/master.ts";
import { refusalOf } from "../../../../src/core/ssh/system/refusal.ts";
import { masterArgv } from "../../../../src/core/ssh/system/words.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-choose-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function configOf(...lines: string[]): Promise<SshConfig> {
  const configFile = join(dir, "config");
  await writeFile(configFile, lines.map((line) => `${line}\n`).join(""));
  return (await resolveAlone("box", { configFile, home: dir, localUser: "me", env: {} })).config;
}

describe("which transport", () => {
  /** Why it is not ours, without the place in the file; undefined: it is. */
  async function why(lines: string[], explicitFiles: string[] = []): Promise<string | undefined> {
    const choice = await chooseTransport(await configOf(...lines), {}, { explicitFiles });
    return choice.transport === "ssh2" ? undefined : choice.why?.replace(`, ${join(dir, "config")}:`, " in line ");
  }

  it.each<[string[], string | undefined]>([
    [[], undefined],
    [["KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256"], undefined],
    [
      ["KexAlgorithms mlkem768x25519-sha256"],
      "the ssh config says KexAlgorithms mlkem768x25519-sha256, and none of that exists here",
    ],
    [["KexAlgorithms no-such-thing"], undefined],
    [["MACs umac-64*"], "the ssh config says MACs umac-64*, and none of that exists here"],
    [["PKCS11Provider /lib/token.so"], "PKCS11Provider /lib/token.so in line 1"],
    [["HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com"], undefined],
    [["PKCS11Provider none"], undefined],
    [["Port 22", "ProxyUseFdpass yes"], "ProxyUseFdpass yes in line 2"],
    [["KnownHostsCommand /bin/keys %H"], "KnownHostsCommand /bin/keys %H in line 1"],
    [["BindInterface eth0"], "BindInterface eth0 in line 1"],
    // Debian says so for every host.
    [["GSSAPIAuthentication yes"], undefined],
    [["GSSAPIAuthentication yes", "PreferredAuthentications gssapi-with-mic,publickey"], undefined],
    [["GSSAPIAuthentication yes", "PreferredAuthentications gssapi-with-mic"], "GSSAPIAuthentication yes in line 1"],
    [
      [
        "HostbasedAuthentication yes",
        "PubkeyAuthentication no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
      ],
      "HostbasedAuthentication yes in line 1",
    ],
    [["CertificateFile ~/cert.pub"], undefined],
  ])("%j: %s", async (lines, expected) => {
    expect(await why(lines)).toBe(expected);
  });

  it("a key on a security token, unless it only is one of several usual ones", async () => {
    const key = Buffer.concat([Buffer.from([0, 0, 0, 26]), Buffer.from("sk-ssh-ed25519@openssh.com")]);
    const token = join(dir, "token");
    await writeFile(`${token}.pub`, `sk-ssh-ed25519@openssh.com ${key.toString("base64")} me\n`);
    await writeFile(token, "-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n");
    const said = `${token} is a key on a security token`;
    expect(await why([`IdentityFile ${token}`])).toBe(said);
    expect(await why([], [token])).toBe(said);
    expect(await why(["IdentityFile ~/none"])).toBeUndefined();
    expect(
      await chooseTransport(await configOf(`IdentityFile ${token}`), { transport: "ssh2" }, { explicitFiles: [] }),
    ).toEqual({
      transport: "ssh2",
    });
    expect(await chooseTransport(await configOf(), { transport: "system" }, { explicitFiles: [token] })).toEqual({
      transport: "system",
      why: undefined,
      takesHands: true,
    });
  });
});

describe("what ssh is told", () => {
  const words = async (
    lines: string[],
    options: Parameters<typeof masterArgv>[0]["options"],
    home = dir,
  ): Promise<readonly string[]> =>
    masterArgv({
      ssh: "/bin/ssh",
      config: await configOf(...lines),
      options,
      home,
      usualHome: dir,
      socket: "/run/50%/c",
    });

  it("who, where, and our rules about host keys, which win over the config", async () => {
    const ask = async (): Promise<undefined> => undefined;
    const said = await words(["User me", "Port 2222"], { configFile: "/etc/c", identities: ["~/key"], ask });
    expect(said.slice(0, 6)).toEqual(["/bin/ssh", "-NTx", "-F", "/etc/c", "-i", join(dir, "key")]);
    expect(said.slice(-6)).toEqual(["-l", "me", "-p", "2222", "--", "box"]);
    expect(said).toContain('ControlPath="/run/50%%/c"');
    for (const [policy, options, expected] of [
      ["ask", { ask }, "ask"],
      ["ask", {}, "yes"],
      ["yes", { ask }, "yes"],
      ["no", {}, "accept-new"],
      ["accept-new", {}, "accept-new"],
      ["yes", { acceptNew: true }, "accept-new"],
    ] as const) {
      const rules = await words([`StrictHostKeyChecking ${policy}`], options);
      expect([policy, options, rules.find((word) => word.startsWith("Strict"))]).toEqual([
        policy,
        options,
        `StrictHostKeyChecking=${expected}`,
      ]);
    }
  });

  it("to stay with us, and to look at the key of this machine too", async () => {
    const said = await words(["ForkAfterAuthentication yes", "NoHostAuthenticationForLocalhost yes"], {});
    expect(said).toContain("ForkAfterAuthentication=no");
    expect(said).toContain("NoHostAuthenticationForLocalhost=no");
    expect(said).toContain("Tunnel=no");
    // One that is older than 8.7 does not know the word.
    expect(await words([], {})).not.toContain("ForkAfterAuthentication=no");
  });

  it("where our files are, when that is not where it would look", async () => {
    const said = await words([], {}, join(dir, "elsewhere"));
    expect(said.slice(2, 4)).toEqual(["-F", "none"]);
    expect(said).toContain(`UserKnownHostsFile="${dir}/.ssh/known_hosts" "${dir}/.ssh/known_hosts2"`);
    expect((await words([], {})).some((word) => word.startsWith("UserKnownHostsFile"))).toBe(false);
  });
});

describe("what it lends us", () => {
  it("takes no packet and gives none when it is gone, without a complaint", async () => {
    const server = createServer().listen(join(dir, "socket"));
    await once(server, "listening");
    const near = connect(join(dir, "socket"));
    const [far] = await Promise.all([once(server, "connection"), once(near, "connect")]);
    const client = await adopt(near);
    const protocol = packets(client);
    const send = (): void => sendPayload(protocol, Buffer.of(97, 0, 0, 0, 0)); // closes a channel
    send();
    const [peer] = far;
    if (!(peer instanceof Socket)) throw new Error("no socket");
    const [heard] = await once(peer, "data");
    expect(heard).toEqual(Buffer.of(0, 0, 0, 6, 0, 97, 0, 0, 0, 0));
    const closed = once(client, "close");
    near.destroy();
    await closed;
    server.close();
    expect(send).not.toThrow();
    expect(protocol._decipher?.decrypt(Buffer.of(0, 0, 0, 2, 0, 97), 0, 6)).toBe(6);
  });
});

describe("where its socket is", () => {
  it.each([
    ["/tmp/mine", "/tmp/mine"],
    ["/var/folders/a b/T-1_2+3.4", "/var/folders/a b/T-1_2+3.4"],
    ['/tmp/a"b', "/tmp"],
    ["/tmp/${HOME}", "/tmp"],
    ["relative", "/tmp"],
    [`/${"x".repeat(60)}`, "/tmp"],
  ])("%j: %s", (temp, folder) => {
    expect(shortFolder(temp)).toBe(folder);
  });
});

describe("what ssh says", () => {
  it("is told apart from what it asks, however it is cut", () => {
    const stream = "one\nMARK\nEnter passphrase for key 'k': MARKtwo\nMARKnone\nTouch it\nagainMARKthree MA";
    for (let size = 1; size <= stream.length; size++) {
      const read = createAskpassReader("MARK");
      const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) =>
        read(stream.slice(i * size, (i + 1) * size)),
      );
      const last = read("NO");
      expect([...pieces, last].map(({ rest }) => rest).join("")).toBe("one\ntwo\nthree MANO");
      expect(pieces.flatMap(({ asked }) => asked)).toEqual([
        { kind: "question", text: "Enter passphrase for key 'k': " },
        { kind: "none", text: "Touch it\nagain" },
      ]);
    }
  });

  it.each([
    ["Enter passphrase for key '/home/me/.ssh/id': ", "passphrase"],
    ["Enter PIN for 'token': ", "passphrase"],
    ["me@box's password: ", "password"],
    ["(me@box) Password: ", "password"],
    ["(me@box) Verification code: ", "challenge"],
    ["The authenticity ...\nAre you sure you want to continue connecting (yes/no/[fingerprint])? ", "host-key"],
    ["Please type 'yes', 'no' or the fingerprint: ", "host-key"],
  ])("%j asks for the %s", (said, kind) => {
    expect(questionOf("box", said, 1).kind).toBe(kind);
  });

  it.each([
    ["ssh: connect to host box port 22: Connection refused\r\n", "ssh.connect"],
    ["ssh: Could not resolve hostname box: Name or service not known", "ssh.connect"],
    ["kex_exchange_identification: Connection closed by remote host", "ssh.connect"],
    ["me@box: Permission denied (publickey).", "ssh.auth"],
    ["Received disconnect from ::1: 2: Too many authentication failures", "ssh.auth"],
    ["@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "hostkey.changed"],
    ["@ WARNING: REVOKED HOST KEY DETECTED! @\nHost key verification failed.", "hostkey.revoked"],
    ["No ED25519 host key is known for box.\nHost key verification failed.", "hostkey.unknown"],
    ["Unable to negotiate with ::1: no matching cipher found.", "ssh.protocol"],
    ["c: line 1: Bad configuration option: frob\nc: terminating, 1 bad configuration options", "config.invalid"],
    ["", "ssh.protocol"],
  ])("%j is %s", (said, code) => {
    const error = refusalOf({ name: "box", at: "box:22", said: `${said}\u001b[2J`, canAsk: true });
    expect(error).toMatchObject({ code, host: "box" });
    expect(error.message).not.toContain("\u001b");
  });
});
