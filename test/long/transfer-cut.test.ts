/**
 * Transfers cut at random moments: the connection killed, the client killed, the disk full, the target read-only. The
 * destination is old or new, `--resume` completes with equal sums, and nothing is left but a named partial file.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { startSshd, type Sshd } from "../servers/sshd.ts";

const rounds = Number(process.env["AMI_TEST_ROUNDS"] ?? 200);
const root = resolve(import.meta.dirname, "../..");
const cli =
  process.env["AMI_NODE_BIN"] === undefined
    ? [process.execPath, join(root, "src/cli.ts")]
    : [process.env["AMI_NODE_BIN"]];

const victims = ["client", "connection"] as const;
const kinds = ["up", "down", "tree up", "tree down", "whole up"] as const;

needs(
  "sshd",
  "root",
  "unshare",
)("a transfer that is cut", () => {
  let sshd: Sshd;
  let dir: string;
  const at = (...names: string[]): string => join(dir, ...names);
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "ami-cut-"));
    sshd = await startSshd({ config: ["MaxStartups 1000"] });
  });
  afterAll(async () => {
    await sshd.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const start = (...words: string[]): ChildProcess =>
    spawn(cli[0] ?? "", [...cli.slice(1), "ssh", "transfer", "--ssh-config", sshd.configFile, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, AMI_NODE_CONFIG_DIR: at("config") },
    });
  const finish = async (child: ChildProcess): Promise<{ code: number | null; text: string }> => {
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (text += String(chunk)));
    return { code: await new Promise((done) => child.on("close", done)), text };
  };
  const transfer = (...words: string[]) => finish(start(...words));

  const fresh = (version: string): void => {
    rmSync(at("src"), { recursive: true, force: true });
    mkdirSync(at("src/tree/sub"), { recursive: true });
    writeFileSync(at("src/big"), content(`${version} big`, 12_000_000));
    for (let i = 0; i < 40; i++)
      writeFileSync(at(`src/tree/${i % 2 === 0 ? "" : "sub/"}f${i}`), content(`${version} ${i}`, 200_000));
  };
  /** Each file of a tree is of one version; throws when one is neither. */
  const lookAtTree = (versions: readonly string[]): void => {
    for (let i = 0; i < 40; i++) {
      const found = sum(readFileSync(at(`dst/tree/${i % 2 === 0 ? "" : "sub/"}f${i}`)));
      expect(
        versions.map((version) => sum(content(`${version} ${i}`, 200_000))),
        `f${i}`,
      ).toContain(found);
    }
  };
  const strays = (): string[] => readdirSync(at("dst")).filter((name) => name !== "big" && name !== "tree");

  it(`is old or new after each of ${rounds} cuts, and a further run completes it`, async () => {
    fresh("v0");
    mkdirSync(at("dst"));
    execFileSync("cp", ["-r", at("src/big"), at("src/tree"), at("dst")]);
    let cuts = 0;
    for (let round = 1; round <= rounds; round++) {
      const kind = kinds[round % kinds.length] ?? "up";
      const victim = victims[Math.floor(round / kinds.length) % victims.length] ?? "client";
      const version = `v${round}`;
      fresh(version);
      const far = kind.endsWith("up");
      const name = kind.startsWith("tree") ? "tree" : "big";
      const paths = far ? [at("src", name), `box:${at("dst")}`] : [`box:${at("src", name)}`, at("dst")];
      const old = name === "big" ? sum(readFileSync(at("dst/big"))) : "";
      const own = name === "big" && kind !== "whole up" ? ["--resume"] : [];

      const child = start(...paths, ...own, "--bwlimit", "10M");
      const ended = finish(child);
      await new Promise((go) => setTimeout(go, 300 + Math.random() * 1200));
      if (victim === "client") child.kill("SIGKILL");
      else (await sshd.connections()).forEach(killed);
      const { code } = await ended;
      if (code !== 0) cuts++;

      // What the far side was doing ends with its input, a moment later.
      await settled(() => strays().every((stray) => stray.endsWith("partial")));
      if (name === "big") {
        const now = sum(readFileSync(at("dst/big")));
        expect([old, sum(content(`${version} big`, 12_000_000))], `${kind}, ${victim} killed`).toContain(now);
      } else {
        const before = `v${round - 1}`;
        lookAtTree([before, version, ...Array.from({ length: round }, (_, i) => `v${i}`)]);
      }
      const again = await transfer(...paths, ...own);
      expect(again, `${kind} after ${victim} was killed: ${again.text}`).toMatchObject({ code: 0 });
      if (name === "big") expect(sum(readFileSync(at("dst/big")))).toBe(sum(content(`${version} big`, 12_000_000)));
      else lookAtTree([version]);
      // A killed client or sftp server cannot tidy up; what it leaves has a name that says what it is.
      for (const stray of strays()) {
        expect(stray).toMatch(/^\.ami-[0-9a-f]{16}\.partial$/);
        rmSync(at("dst", stray), { recursive: true });
      }
    }
    console.log(`${cuts} of ${rounds} were cut`);
    expect(cuts).toBeGreaterThan(rounds / 2);
  });

  it("a full disk leaves what was there, and nothing half done", async () => {
    fresh("full");
    const small = at("small");
    mkdirSync(small);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m", "none", small]);
    // The server has a mount namespace of its own, made before: one that sees the tmpfs.
    const own = await startSshd();
    try {
      writeFileSync(join(small, "big"), "old");
      for (const paths of [
        [at("src/big"), `box:${small}`],
        [`box:${at("src/big")}`, small],
        [at("src/tree"), `box:${small}`],
        [`box:${at("src/tree")}`, small],
      ]) {
        const child = spawn(
          cli[0] ?? "",
          [...cli.slice(1), "ssh", "transfer", "--ssh-config", own.configFile, ...paths],
          {
            stdio: ["ignore", "pipe", "pipe"],
          },
        );
        const { code, text } = await finish(child);
        expect(code, paths.join(" ")).not.toBe(0);
        expect(text).toMatch(/space|full disk/i);
        expect(readdirSync(small), paths.join(" ")).toEqual(["big"]);
        expect(readFileSync(join(small, "big"), "utf8")).toBe("old");
      }
    } finally {
      await own.stop();
      execFileSync("umount", [small]);
    }
  });

  it("a target that is read-only is told and left alone", async () => {
    fresh("readonly");
    const fixed = at("fixed");
    mkdirSync(fixed);
    writeFileSync(join(fixed, "big"), "old");
    execFileSync("mount", ["--bind", fixed, fixed]);
    execFileSync("mount", ["-o", "remount,ro,bind", fixed]);
    const own = await startSshd();
    try {
      for (const name of ["big", "tree"]) {
        for (const paths of [
          [at("src", name), `box:${fixed}`],
          [`box:${at("src", name)}`, fixed],
        ]) {
          const child = spawn(
            cli[0] ?? "",
            [...cli.slice(1), "ssh", "transfer", "--ssh-config", own.configFile, ...paths],
            {
              stdio: ["ignore", "pipe", "pipe"],
            },
          );
          expect((await finish(child)).code).not.toBe(0);
          expect(readdirSync(fixed)).toEqual(["big"]);
        }
      }
    } finally {
      await own.stop();
      execFileSync("umount", [fixed]);
    }
  });
});

/** It may have ended by itself meanwhile. */
function killed(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function content(seed: string, size: number): Buffer {
  return createHash("shake256", { outputLength: size }).update(seed).digest();
}

function sum(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function settled(isSo: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!isSo() && Date.now() < end) await new Promise((go) => setTimeout(go, 50));
  expect(isSo()).toBe(true);
}
