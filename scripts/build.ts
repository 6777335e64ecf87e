/**
 * Build: `npm run build` bundles src/cli.ts and what it needs into dist/, which runs on Node 24 without node_modules.
 * Split into chunks, so that what a command does not use is never read.
 */
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { type Metafile, type Plugin, build } from "esbuild";

const root = dirname(import.meta.dirname);

/**
 * Bundles into `outdir`, replacing an earlier bundle there. Returns the names of the scripts, relative to it; the first
 * is the entry. `banner: false` leaves `require` and `__dirname` to whoever loads the chunks.
 */
export async function bundle(outdir: string, options: { readonly banner?: boolean } = {}): Promise<readonly string[]> {
  await rm(join(outdir, "chunks"), { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["src/cli.ts"],
    outdir,
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    // liquidjs names its ES module only here; a CommonJS chunk would lose its named exports.
    mainFields: ["module", "main"],
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
    plugins: [pureSsh2],
    // Native, one build for each platform: taken from node_modules where there is one, done without elsewhere.
    external: ["@napi-rs/keyring"],
    ...(options.banner === false ? {} : { banner: { js: commonJs } }),
  });
  await writeFile(join(outdir, "licenses.txt"), await licenses(metafile));
  const outputs = Object.entries(metafile.outputs);
  outputs.sort(([, a], [, b]) => Number(b.entryPoint !== undefined) - Number(a.entryPoint !== undefined));
  return outputs.map(([path]) => relative(outdir, resolve(root, path)));
}

/** What CommonJS packages inside an ES module expect to find (ssh2 names __dirname at load). */
const commonJs = `import{createRequire as __amiRequire}from"node:module";const require=__amiRequire(import.meta.url);const __dirname=import.meta.dirname,__filename=import.meta.filename;`;

/**
 * ssh2 tries two native parts and does without when they do not load. They are built for the Node that ran npm and for
 * one platform, so the bundle always does without.
 */
const pureSsh2: Plugin = {
  name: "pure-ssh2",
  setup(builder) {
    builder.onResolve({ filter: /\.node$|^cpu-features$/ }, ({ path }) => ({ path, namespace: "native" }));
    builder.onLoad({ filter: /.*/, namespace: "native" }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not part of this build`)});`,
    }));
  },
};

/** The licence texts of all packages that went in. */
async function licenses(metafile: Metafile): Promise<string> {
  const folders = new Set<string>();
  for (const path of Object.keys(metafile.inputs)) {
    const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
    if (folder !== undefined) folders.add(folder);
  }
  const texts = await Promise.all([...folders].sort().map((folder) => licenseOf(folder)));
  return texts.join(`\n\n${"-".repeat(80)}\n\n`);
}

async function licenseOf(folder: string): Promise<string> {
  const dir = join(root, folder);
  const { name, version, license } = JSON.parse(await readFile(join(dir, "package.json"), "utf8")) as Record<
    string,
    string
  >;
  const file = (await readdir(dir)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  const body = file === undefined ? "" : `\n\n${(await readFile(join(dir, file), "utf8")).trim()}`;
  return `${name} ${version} (${license})${body}\n`;
}

if (import.meta.main) {
  const started = performance.now();
  const files = await bundle(join(root, "dist"));
  process.stdout.write(`dist/cli.js and ${files.length - 1} chunks in ${Math.round(performance.now() - started)} ms\n`);
}
