#!/usr/bin/env node
// Launcher: the built program where there is one, the sources in a checkout. Written in words that an old Node knows too,
// since that is the one to be told.
var oldest = 24;
if (Number(process.versions.node.split(".")[0]) < oldest) {
  process.stderr.write(
    "error: ami-node needs Node " + oldest + " or newer, and this is " + process.versions.node + "\n",
  );
  process.stderr.write("  hint: put a newer node first on PATH, or take the standalone binary, which needs none\n");
  process.exitCode = 6;
} else {
  var built = new URL("../dist/cli.js", import.meta.url);
  var isBuilt = process.getBuiltinModule("node:fs").existsSync(built);
  import((isBuilt ? built : new URL("../src/cli.ts", import.meta.url)).href);
}
