/** Records: what is written down about tunnels in the background, one file each in a folder that is ours alone. */
import { randomBytes } from "node:crypto";
import { link, lstat, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ownPaths } from "../config/paths.ts";
import { AmiError } from "../errors.ts";
import { makeFolder } from "../folder.ts";
import { processMark } from "../process-mark.ts";
import { whyUnreadable } from "../unreadable.ts";

export const recordSchema = z.object({
  name: z.string(),
  /** What the target is called. */
  target: z.string(),
  pid: z.number().int().positive(),
  /** Of that process: tells it from a later one of the same number. */
  mark: z.string(),
  /** `lost`: connecting again. `failed`: it gave up and is gone. */
  state: z.enum(["starting", "up", "lost", "failed"]),
  since: z.iso.datetime(),
  tunnels: z.array(z.object({ listens: z.enum(["here", "there"]), listen: z.string(), to: z.string() })),
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      hint: z.string().optional(),
      retry: z.enum(["yes", "no", "unknown"]),
      host: z.string().optional(),
    })
    .optional(),
  log: z.string(),
});
export type TunnelRecord = z.output<typeof recordSchema>;

/** Made if it is not there. Rejects with `config.invalid` when it is somebody else's, or open to others. */
export async function recordFolder(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  // After `su` it is still that of the user before: nothing of ours belongs there.
  const { runtime } = ownPaths((await isOwn(env["XDG_RUNTIME_DIR"])) ? env : { ...env, XDG_RUNTIME_DIR: "" });
  const folder = join(runtime, "tunnels");
  try {
    makeFolder(folder);
  } catch (cause) {
    throw new AmiError("config.invalid", `${folder} cannot be made: ${whyUnreadable(cause)}`, { cause });
  }
  for (const path of [runtime, folder]) {
    const { uid, mode } = await lstat(path);
    const isOurs = process.getuid === undefined || (uid === process.getuid() && (mode & 0o077) === 0);
    if (isOurs) continue;
    throw new AmiError("config.invalid", `${path} is not private: others may write or read in it`, {
      hint: `look what it is, then: chmod 700 ${path}`,
    });
  }
  return folder;
}

async function isOwn(folder: string | undefined): Promise<boolean> {
  if (folder === undefined || folder === "") return false;
  const found = await lstat(folder).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.();
}

export function recordFile(folder: string, name: string): string {
  return join(folder, `${name}.json`);
}

/** All of them by name; what cannot be read is none. */
export async function readRecords(folder: string): Promise<TunnelRecord[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".json")).sort();
  const found = await Promise.all(files.map((file) => readRecord(join(folder, file))));
  return found.filter((record) => record !== undefined);
}

export async function readRecord(file: string): Promise<TunnelRecord | undefined> {
  const text = await readFile(file, "utf8").catch(() => "null");
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch {
    return undefined; // half of another version, or nobody's
  }
}

/** No reader ever sees a part of it. */
export async function writeRecord(file: string, record: TunnelRecord): Promise<void> {
  await whole(file, record, (temp) => rename(temp, file));
}

/** False when there is one of that name already. */
export async function claimRecord(file: string, record: TunnelRecord): Promise<boolean> {
  return whole(file, record, async (temp) => {
    try {
      await link(temp, file);
      return true;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
      throw error;
    } finally {
      await rm(temp, { force: true });
    }
  });
}

async function whole<T>(file: string, record: TunnelRecord, place: (temp: string) => Promise<T>): Promise<T> {
  const temp = `${file}.${randomBytes(4).toString("hex")}`;
  await writeFile(temp, `${JSON.stringify(record)}\n`, { mode: 0o600, flag: "wx" });
  return place(temp);
}

export async function isAlive({ pid, mark }: Pick<TunnelRecord, "pid" | "mark">): Promise<boolean> {
  return (await processMark(pid)) === mark;
}
