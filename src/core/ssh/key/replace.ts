/** Replace: writes a file of this machine beside its place and renames it: whole or not at all. */
import type { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { open, realpath, rename, rm } from "node:fs/promises";
import { AmiError } from "../../errors.ts";

/** Where a link stands, the file it leads to is replaced. Rejects with `host.file`. */
export async function replaceFile(path: string, content: string | Buffer, mode: number): Promise<void> {
  const place = await realpath(path).catch(() => path);
  const beside = `${place}.ami-${randomBytes(6).toString("hex")}`;
  try {
    const handle = await open(beside, "wx", mode);
    try {
      await handle.writeFile(content);
      // The mask of the process may have taken bits away.
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, place);
  } catch (error) {
    await rm(beside, { force: true });
    const why = error instanceof Error ? error.message : String(error);
    throw new AmiError("host.file", `${path} cannot be written: ${why}`, { cause: error });
  }
}
