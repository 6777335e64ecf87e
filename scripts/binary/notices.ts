/** Notices: what is in a released executable besides our own code, under whose licence, and how to exchange it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const line = `\n\n${"-".repeat(80)}\n\n`;

/** The text of `licenses.txt` beside the executables. `packages`: that of the bundle, dist/licenses.txt. */
export async function noticesOf(root: string, packages: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, "node_modules/bun/package.json"), "utf8")) as {
    version: string;
  };
  const texts = [join(root, "LICENSE")].concat(
    ["LGPL-2.txt", "LGPL-2.1.txt"].map((name) => join(import.meta.dirname, "licenses", name)),
  );
  const [own = "", ...lgpl] = await Promise.all(texts.map((file) => readFile(file, "utf8")));
  return [own.trim(), runtime(version), packages.trim(), ...lgpl.map((text) => text.trim())].join(line).concat("\n");
}

function runtime(version: string): string {
  const bun = "https://github.com/oven-sh/bun";
  return `The executables contain Bun ${version} (MIT), unchanged but for what docs/decisions/0001 of ami-node names. Bun is linked
statically with, among others:

  JavaScriptCore and parts of WebKit   GNU LGPL 2 (text below)
  tinycc                               GNU LGPL 2.1 (text below)
  BoringSSL                            OpenSSL, ISC and others
  ICU                                  Unicode License
  mimalloc, c-ares, brotli, libdeflate MIT
  zlib-ng, zstd, libarchive            zlib, BSD, BSD and others
  uSockets, uWebSockets, simdutf       Apache 2.0

The whole list, with a pointer to each licence, is ${bun}/blob/bun-v${version}/LICENSE.md

Relinking. You may exchange the parts under the LGPL for versions of your own. WebKit as Bun uses it is at
https://github.com/oven-sh/WebKit, tinycc at https://github.com/TinyCC/tinycc, and LICENSE.md as above says how Bun is built
with a changed one. An executable of ami-node is made of such a Bun by

  npm ci && npm run build
  /path/to/your/bun build dist/cli.js --compile --splitting --bytecode --format=esm --outfile=ami-node

Everything that needs is in the source of ami-node, and dist/ in its npm package. You may take the executable apart to find
mistakes of such changes.`;
}
