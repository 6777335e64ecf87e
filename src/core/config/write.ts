/** Writes settings through conf: atomic, and only for us to read (0600), as a target may name users and hosts. */
import { basename, dirname } from "node:path";
import { AmiError } from "../errors.ts";
import { whyUnreadable } from "../unreadable.ts";
import { makeFolder } from "../folder.ts";
import { readValue } from "./keys.ts";
import type { SettingKey, SettingValue } from "./keys.ts";
import { readStored } from "./settings.ts";

/** Stores a value and returns it as read. Throws `usage.input` for a value the key cannot have. */
export async function setSetting(file: string, key: SettingKey, raw: string): Promise<SettingValue> {
  const read = readValue(key, raw);
  if (!read.ok) throw new AmiError("usage.input", `${key}: ${read.why}`);
  const store = await openStore(file);
  store.set(key, read.value);
  return read.value;
}

/** Forgets a key, known or not; false: it was not set. Throws `usage.input` for the beginning of several keys. */
export async function unsetSetting(file: string, key: string): Promise<boolean> {
  const store = await openStore(file);
  if (!store.has(key)) return false;
  const value: unknown = store.get(key);
  if (typeof value === "object" && value !== null) {
    throw new AmiError("usage.input", `${key} is not one setting`, {
      hint: `name one: ${Object.keys(value)
        .map((name) => `${key}.${name}`)
        .join(", ")}`,
    });
  }
  store.delete(key);
  return true;
}

async function openStore(file: string) {
  readStored(file);
  const { default: Conf } = await import("conf");
  try {
    makeFolder(dirname(file));
    return new Conf<Record<string, SettingValue>>({
      cwd: dirname(file),
      configName: basename(file, ".json"),
      configFileMode: 0o600,
      clearInvalidConfig: false,
    });
  } catch (cause) {
    throw new AmiError("config.invalid", `${file}: cannot be written: ${whyUnreadable(cause)}`, { cause });
  }
}
