/**
 * Sea: one executable out of Node itself (its "single executable application" feature), for the platform this runs on.
 * The core and each chunk are assets with their code caches; a chunk is compiled when it is first asked for, once.
 */
import { execFile } from "node:child_process";
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { bundle } from "../build.ts";

const run = promisify(execFile);

/** Makes `outfile` out of the Node that runs this. */
export async function makeSea(root: string, outfile: string): Promise<void> {
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
