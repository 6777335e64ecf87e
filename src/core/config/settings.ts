/**
 * Settings: what `ami-node config` keeps. Reading is one small JSON file, done here; writing is done by `conf`
 * (write.ts), which costs 100 ms to load and is needed by two commands only.
 */
import { readFileSync } from "node:fs";
import type { Settings } from "../command.ts";
import { AmiError } from "../errors.ts";
import { systemCode, whyUnreadable } from "../unreadable.ts";
import { isSettingKey, readValue, settingKeys } from "./keys.ts";
import type { SettingValue } from "./keys.ts";

/** Reads the file at the first question. `get` throws `config.invalid` for a broken file or a wrong value in it. */
export function openSettings(file: string): Settings {
  let stored: unknown;
  return {
    get(key) {
      stored ??= readStored(file);
      const raw = pick(stored, key);
      if (raw === undefined || !isSettingKey(key)) return undefined;
      const read = readValue(key, raw);
      if (read.ok) return read.value;
      throw new AmiError("config.invalid", `${file}: ${key}: ${read.why}`, {
        hint: `ami-node config set ${key} VALUE, or ami-node config unset ${key}`,
      });
    },
  };
}

export interface Entry {
  readonly key: string;
  readonly says: string;
  readonly value?: SettingValue;
  /** What is wrong with the stored value or key. */
  readonly problem?: string;
}

/** Every known key, and every key in the file that nobody knows. Never throws for wrong values. */
export function listSettings(file: string): Entry[] {
  const stored = readStored(file);
  const known = Object.keys(settingKeys)
    .filter(isSettingKey)
    .map((key): Entry => {
      const raw = pick(stored, key);
      if (raw === undefined) return { key, says: settingKeys[key].says };
      const read = readValue(key, raw);
      if (read.ok) return { key, says: settingKeys[key].says, value: read.value };
      return { key, says: settingKeys[key].says, problem: read.why };
    });
  const unknown = leaves(stored).filter((key) => !isSettingKey(key));
  return [...known, ...unknown.map((key): Entry => ({ key, says: "", problem: "there is no such setting" }))];
}

/** The file as it is; none is an empty one. Throws `config.invalid`. */
export function readStored(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(cause) ?? "")) return {};
    throw new AmiError("config.invalid", `${file}: cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
  const hint = "mend the file or remove it; all settings have defaults";
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch (cause) {
    throw new AmiError("config.invalid", `${file}: is not JSON: ${whyUnreadable(cause)}`, { hint, cause });
  }
  if (typeof stored === "object" && stored !== null && !Array.isArray(stored)) return stored;
  throw new AmiError("config.invalid", `${file}: must be an object of settings, as in {"parallel": 20}`, { hint });
}

/** `a.b` in `{a: {b: 1}}`, as conf stores it. */
function pick(stored: unknown, key: string): unknown {
  let value = stored;
  for (const word of key.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, word)) return undefined;
    value = Object.entries(value).find(([name]) => name === word)?.[1];
  }
  return value;
}

function leaves(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return path === "" ? [] : [path];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, path === "" ? name : `${path}.${name}`));
}
