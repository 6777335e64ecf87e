// The first script of the Node executable: loads chunks from its assets, each compiled once, when first asked for.
"use strict";
const { getRawAsset } = require("node:sea");
const { Script } = require("node:vm");
const { pathToFileURL } = require("node:url");
const { dirname } = require("node:path");

const asset = (name) => Buffer.from(getRawAsset(name));
const modules = new Map();

function load(name) {
  const known = modules.get(name);
  if (known !== undefined) return known.exports;
  const module = { exports: {} };
  modules.set(name, module);
  const script = new Script(asset(name).latin1Slice(), { filename: name, cachedData: asset(`${name}.cache`) });
  const requireFrom = (wanted) =>
    wanted.startsWith(".") ? load(wanted.slice(wanted.lastIndexOf("/") + 1)) : require(wanted);
  const { execPath } = process;
  const start = script.runInThisContext();
  start(module.exports, requireFrom, module, execPath, dirname(execPath), pathToFileURL(execPath).href);
  return module.exports;
}

load("cli.js");
