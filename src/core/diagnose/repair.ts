/** Repair: the few faults of this side that can be mended from here: a key's mode, a line of known_hosts. */
import { chmod, copyFile, readFile, realpath, rename, stat, writeFile } from "node:fs/promises";
import { AmiError } from "../errors.ts";
import { fingerprint } from "../ssh/known-hosts.ts";
import type { Repair } from "./finding.ts";

/** What is asked before it is done. */
export function questionOf(repair: Repair): string {
  return repair.does === "chmod"
    ? `Take ${repair.path} out of the reach of others (chmod ${repair.mode.toString(8)})?`
    : `Remove ${repair.file}:${repair.line} (${repair.fingerprint})? The next login then asks about the key the server shows; compare its fingerprint before you say yes`;
}

/** Rejects with `config.invalid` when the line is another one meanwhile. The old file stays beside as `.old`. */
export async function mend(repair: Repair): Promise<void> {
  if (repair.does === "chmod") return chmod(repair.path, repair.mode);
  const { line } = repair;
  const file = await realpath(repair.file);
  const rows = (await readFile(file, "latin1")).split("\n");
  const key = rows[line - 1]?.split(/\s+/).find((word) => word.startsWith("AAAA")) ?? "";
  if (fingerprint(Buffer.from(key, "base64")) !== repair.fingerprint) {
    throw new AmiError("config.invalid", `${file}:${line} has changed meanwhile`, { hint: "diagnose again" });
  }
  const { mode } = await stat(file);
  const temp = `${file}.ami-${process.pid}`;
  await copyFile(file, `${file}.old`);
  await writeFile(temp, rows.filter((_, index) => index !== line - 1).join("\n"), {
    encoding: "latin1",
    mode: mode & 0o777,
  });
  await rename(temp, file);
}
