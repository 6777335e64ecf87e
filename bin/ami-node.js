#!/usr/bin/env node
// Launcher: the built program where there is one, the sources in a checkout.
import { existsSync } from "node:fs";

const built = new URL("../dist/cli.js", import.meta.url);
await import((existsSync(built) ? built : new URL("../src/cli.ts", import.meta.url)).href);
