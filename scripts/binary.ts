/**
 * Binary: `npm run binary [-- TARGET...]` makes standalone executables in dist/bin, for one or more targets (default:
 * all), checks each for format and signature, and starts those that can run here. See docs/decisions/0001.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { compileWithBun } from "./binary/bun.ts";
import { findFaults } from "./binary/check.ts";
import { startWithoutProc } from "./binary/glibc.ts";
import { signMachO } from "./binary/macho.ts";
import { dropLibstdcxx } from "./binary/musl.ts";
import { noticesOf } from "./binary/notices.ts";
import { makeSea } from "./binary/sea.ts";
import { type BinaryTarget, targets } from "./binary/targets.ts";
import { bundle } from "./build.ts";

const root = dirname(import.meta.dirname);
const dist = join(root, "dist");
const here = { platform: process.platform, arch: process.arch, has: existsSync };

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !targets.some((target) => target.name === name));
  if (unknown.length > 0) {
    process.stderr.write(
      `unknown target ${unknown.join(", ")}; there are: ${targets.map(({ name }) => name).join(", ")}\n`,
    );
    return 64;
  }
  const wanted = targets.filter(({ name, bun }) => {
    if (names.length > 0) return names.includes(name);
    // Node's kind is only made of the Node that runs this.
    return bun !== undefined || name === `${process.platform}-${process.arch}-sea`;
  });
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  await bundle(dist);
  await mkdir(join(dist, "bin"), { recursive: true });
  const packages = await readFile(join(dist, "licenses.txt"), "utf8");
  await writeFile(join(dist, "bin/licenses.txt"), await noticesOf(root, packages));
  let failures = 0;
  for (const target of wanted) {
    const started = performance.now();
    try {
      const ran = await make(target, version);
      const { size } = await stat(join(dist, "bin", target.file));
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      process.stdout.write(
        `dist/bin/${target.file}: ${(size / 1e6).toFixed(1)} MB, ${seconds} s, ${ran ? "runs" : "checked, cannot run here"}\n`,
      );
    } catch (error) {
      failures++;
      process.stderr.write(`${target.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  return failures === 0 ? 0 : 1;
}

/** Makes and checks one. Says whether it could be started here; throws when anything is not as it should be. */
async function make(target: BinaryTarget, version: string): Promise<boolean> {
  const file = join(dist, "bin", target.file);
  if (target.bun === undefined) await makeSea(root, file);
  else await compileWithBun(root, join(dist, "cli.js"), target.bun, file);
  if (target.name === "linux-x64") await writeFile(file, await startWithoutProc(await readFile(file)));
  if (target.name === "linux-x64-musl") await writeFile(file, await dropLibstdcxx(await readFile(file)));
  // Bun signs anew for arm64 only and leaves its own, now broken, signature in the x64 file: macOS would kill it.
  if (target.name === "darwin-x64") await writeFile(file, signMachO(await readFile(file), "ami-node"));
  const faults = findFaults(await readFile(file), target.expect);
  if (faults.length > 0) throw new Error(faults.join("; "));
  const [program, ...args] = target.runner(file, here) ?? [];
  if (program === undefined) return false;
  const { stdout } = await promisify(execFile)(program, [...args, "--version"], { timeout: 60_000 });
  if (!stdout.includes(version)) throw new Error(`--version says ${JSON.stringify(stdout)}, not ${version}`);
  return true;
}

process.exitCode = await main(process.argv.slice(2));
