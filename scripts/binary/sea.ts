/**
 * Sea: one executable out of Node itself (its "single executable application" feature), for the platform this runs on.
 * The core and each chunk are assets with their code caches; a chunk is compiled when it is first asked for, once.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { bundle } from "../build.ts";

const run = promisify(execFile);

/**
 * The one Node it may be made of: 24.21.0 for linux-x64, as it comes through npm. Its installer is in package-lock.json, but the
 * executable that this fetches is not.
 */
const examined = "7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c";

/** Makes `outfile` out of the Node that runs this. Throws when that is not the one we know. */
export async function makeSea(root: string, outfile: string): Promise<void> {
  await verifyRuntime(process.execPath);
  const work = await mkdtemp(join(tmpdir(), "ami-node-sea-"));
  try {
    const chunks = await bundle(join(work, "esm"), { banner: false });
    const assets: Record<string, string> = {};
    for (const chunk of chunks) {
      const name = basename(chunk);
      assets[name] = join(work, name);
      await writeFile(assets[name], await asFunction(await readFile(join(work, "esm", chunk), "utf8")));
      assets[`${name}.cache`] = join(work, `${name}.cache`);
    }
    const config = join(work, "sea.json");
    await writeFile(
      config,
      JSON.stringify({
        main: join(import.meta.dirname, "sea-main.cjs"),
        output: join(work, "blob"),
        assets,
        useCodeCache: true,
        disableExperimentalSEAWarning: true,
        // NODE_OPTIONS of the user's shell is meant for other programs.
        execArgvExtension: "none",
      }),
    );
    await run(process.execPath, [
      join(import.meta.dirname, "sea-caches.cjs"),
      ...chunks.map((chunk) => join(work, basename(chunk))),
    ]);
    await run(process.execPath, ["--experimental-sea-config", config]);
    await copyFile(process.execPath, outfile);
    await chmod(outfile, 0o755);
    const fuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
    await run(process.execPath, [
      join(root, "node_modules/postject/dist/cli.js"),
      outfile,
      "NODE_SEA_BLOB",
      join(work, "blob"),
      "--sentinel-fuse",
      fuse,
    ]);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Throws when the file is another Node than the pinned one, or a changed one. */
export async function verifyRuntime(file: string): Promise<void> {
  const hash = createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
  if (hash !== examined) throw new Error(`${file}: the hash is ${hash}, scripts/binary/sea.ts says ${examined}`);
}

/** An ES chunk as a CommonJS function expression; `import()` of another chunk becomes a promise of `require`. */
async function asFunction(esm: string): Promise<string> {
  const { code } = await transform(esm.replace(/^#!.*\n/, ""), {
    format: "cjs",
    platform: "node",
    target: "node24",
    supported: { "dynamic-import": false },
    define: { "import.meta.url": "__url", "import.meta.dirname": "__dirname", "import.meta.filename": "__filename" },
    minifyWhitespace: true,
    minifySyntax: true,
  });
  return `(function(exports,require,module,__filename,__dirname,__url){${code}\n})`;
}
