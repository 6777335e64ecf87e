/** Bun: one executable out of the bundle and Bun's own runtime for a target, cross-compiled from any machine. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, rm } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What a runtime is called by `bun build --target` and in npm. */
export interface BunTarget {
  readonly target: string;
  readonly package: string;
}

/** Compiles `entry` (split ES modules) into `outfile`. */
export async function compileWithBun(
  root: string,
  entry: string,
  { target, package: name }: BunTarget,
  outfile: string,
): Promise<void> {
  const runtime = await fetchRuntime(root, name);
  await run(join(root, "node_modules/bun/bin/bun.exe"), [
    "build",
    entry,
    "--compile",
    "--splitting",
    "--bytecode",
    "--format=esm",
    "--external=@napi-rs/keyring",
    `--target=${target}`,
    `--compile-executable-path=${runtime}`,
    // A program that logs in to machines must not take settings from whatever folder it is started in.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    `--outfile=${outfile}`,
  ]);
}

/**
 * The runtime for a target, through npm like everything else: the version and the hash are those of package-lock.json,
 * where npm names the packages of all platforms although it installs one. Kept in .cache/ between runs.
 */
async function fetchRuntime(root: string, name: string): Promise<string> {
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version: string; integrity: string } | undefined>;
  };
  const locked = lock.packages[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`package-lock.json does not name ${name}`);
  // The one npm installed for this machine has been moved into the package it belongs to.
  if (await exists(join(root, "node_modules", name))) return join(root, "node_modules/bun/bin/bun.exe");
  const cache = join(root, ".cache/bun");
  const folder = join(cache, `${name.replace("/", "-")}-${locked.version}`);
  const program = join(folder, "package/bin", name.includes("windows") ? "bun.exe" : "bun");
  if (await exists(program)) return program;

  const fresh = `${folder}.${process.pid}`;
  await mkdir(fresh, { recursive: true });
  try {
    const { stdout } = await npm(["pack", "--silent", "--pack-destination", fresh, `${name}@${locked.version}`], cache);
    const archive = join(fresh, stdout.trim());
    const hash = `sha512-${createHash("sha512")
      .update(await readFile(archive))
      .digest("base64")}`;
    if (hash !== locked.integrity)
      throw new Error(`${name}: the hash is ${hash}, package-lock.json says ${locked.integrity}`);
    // Named from inside the folder: some tars take the colon of a Windows drive for a host name.
    await run("tar", ["-xzf", basename(archive)], { cwd: fresh });
    await rm(archive);
    await rm(folder, { recursive: true, force: true });
    await rename(fresh, folder);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return program;
}

/**
 * The machine's own npm, as its user runs it by hand: `npm run` puts our Node in front, under which npm would look for
 * the machine's settings (registry, certificates) in the wrong place.
 */
function npm(args: readonly string[], cwd: string): Promise<{ stdout: string }> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|path$)/i.test(name)));
  const path = (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => !/[\\/]node_modules[\\/]/.test(`${folder}/`));
  const isWindows = process.platform === "win32";
  return run(isWindows ? "npm.cmd" : "npm", args, {
    cwd,
    env: { ...env, PATH: path.join(delimiter) },
    shell: isWindows,
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
