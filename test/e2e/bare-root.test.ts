/** The Linux executables in a root that holds nothing but a C library: no shell, no /etc, no /proc, no /dev. */
import { execFile } from "node:child_process";
import { chmod, copyFile, link, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readElf } from "../../scripts/binary/elf.ts";
import { version } from "../../src/core/version.ts";
import { engines, needs } from "../servers/engines.ts";
import { startSshd } from "../servers/sshd.ts";
import { artefact, program } from "./run.ts";

const run = promisify(execFile);
const file = program[0];
/** Node's own runtime needs libstdc++ and libgcc, which is why its kind is not the one that is released. */
const isSea = basename(file).endsWith("-sea");

if (artefact === "binary" && process.platform === "linux" && !isSea && engines().has("root")) {
  needs(
    "root",
    "linux",
    "sshd",
  )(`${basename(file)} in an empty root with its C library only`, () => {
    let bare: string;
    const inside = (...args: readonly string[]) =>
      run("chroot", [bare, "/ami-node", ...args], { env: { HOME: "/", PATH: process.env.PATH } });

    beforeAll(async () => {
      bare = await mkdtemp(join(tmpdir(), "ami-bare-"));
      const { interpreter = "", needed } = readElf(await readFile(file));
      await link(file, join(bare, "ami-node")).catch(() => copyFile(file, join(bare, "ami-node")));
      await mkdir(join(bare, dirname(interpreter)), { recursive: true });
      await copyFile(interpreter, join(bare, interpreter));
      // musl's loader is its libc; glibc's parts lie where the machine's loader finds them.
      if (!interpreter.includes("musl")) {
        const { stdout } = await run("ldd", [file]);
        for (const name of needed) {
          const path = new RegExp(`${name.replaceAll(".", "\\.")} => (\\S+)`).exec(stdout)?.[1];
          if (path === undefined) continue;
          await mkdir(join(bare, dirname(path)), { recursive: true });
          await copyFile(path, join(bare, path));
        }
      }
    });
    afterAll(() => rm(bare, { recursive: true, force: true }));

    it("starts", async () => {
      expect(await inside("--version")).toEqual({ stdout: `${version}\n`, stderr: "" });
      expect((await inside("--help")).stdout).toContain("ssh execute");
    });

    it("logs in to another machine and runs a command there", async () => {
      const box = await startSshd();
      try {
        await copyFile(box.identity, join(bare, "id"));
        await chmod(join(bare, "id"), 0o600);
        await copyFile(box.knownHosts, join(bare, "known_hosts"));
        const config = (await readFile(box.configFile, "utf8"))
          .replaceAll(box.identity, "/id")
          .replaceAll(box.knownHosts, "/known_hosts");
        await writeFile(join(bare, "config"), config);
        const words = ["ssh", "execute", "--ssh-config", "/config", "--target", "box", "echo there"];
        expect((await inside(...words)).stdout).toBe("there\n");
      } finally {
        await box.stop();
      }
    });
  });
} else {
  describe.skip("a standalone Linux executable in an empty root (skipped: that is not what is tested here)", () => {
    it("starts", () => undefined);
  });
}
