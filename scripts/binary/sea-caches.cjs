// Writes the code cache of each script named, beside it. A cache is good only for the Node version that made it.
"use strict";
const { readFileSync, writeFileSync } = require("node:fs");
const { Script } = require("node:vm");

for (const path of process.argv.slice(2)) {
  const script = new Script(readFileSync(path, "latin1"), { filename: path });
  script.runInThisContext();
  writeFileSync(`${path}.cache`, script.createCachedData());
}
