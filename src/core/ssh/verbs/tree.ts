/**
 * Tree: what is done to a folder and all that is in it. The rm and chmod of the host do it in one round trip, and cannot
 * be led astray by links that somebody makes meanwhile; servers that speak nothing but sftp are walked.
 */
import { randomBytes } from "node:crypto";
import type { Argv } from "../../argv.ts";
import { AmiError } from "../../errors.ts";
import { visible } from "../../visible.ts";
import type { Site } from "./act-on.ts";
import { type ModeChange, spelledOut } from "./mode.ts";
import type { Found } from "./verbs.ts";

export async function removeTree(site: Site, folder: Found): Promise<void> {
  if (!(await isRun(site, ["rm", "-rf", "--", folder.path], folder.path))) await removeStepwise(site, folder);
}

async function removeStepwise(site: Site, found: Found): Promise<void> {
  site.signal.throwIfAborted();
  if (found.type === "folder") await each(await site.verbs.list(found.path), (one) => removeStepwise(site, one));
  await site.verbs.remove(found);
}

/** `text` is what `change` was read from. Links are left alone. */
export async function chmodTree(site: Site, folder: Found, text: string, change: ModeChange): Promise<void> {
  const argv = ["chmod", "-R", spelledOut(text), "--", folder.path] as const;
  if (!(await isRun(site, argv, folder.path))) await chmodStepwise(site, folder, change);
}

async function chmodStepwise(site: Site, found: Found, change: ModeChange): Promise<void> {
  site.signal.throwIfAborted();
  if (found.type === "symlink") return;
  const isFolder = found.type === "folder";
  // What is in a folder comes first: its new mode may keep us out.
  const inside = isFolder ? await site.verbs.list(found.path) : [];
  await each(inside, (one) => chmodStepwise(site, one, change));
  await site.verbs.chmod(found.path, change(found.mode, isFolder));
}

/** So many are under way at once. */
const atOnce = 32;

async function each<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const queue = all.values();
  const worker = async (): Promise<void> => {
    for (const one of queue) await work(one);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker));
}

/** False: there is no shell to run it. */
async function isRun({ host, signal }: Site, argv: Argv, path: string): Promise<boolean> {
  const mark = randomBytes(12).toString("hex");
  const program = 'm=$1; shift; "$@"; echo "$m$?"';
  const { stdout, stderr } = await host
    .exec(["sh", "-c", program, "sh", mark, ...argv], { signal, stdin: "" })
    .catch((error: unknown) => {
      if (error instanceof AmiError && error.code === "host.spawn") return { stdout: "", stderr: "" };
      throw error;
    });
  const status = new RegExp(`${mark}(\\d+)\\n`).exec(stdout.toString())?.[1];
  if (status === undefined) return false;
  if (status === "0") return true;
  const lines = visible(stderr.toString()).trim().split("\n");
  const more = lines.length > 1 ? `, and ${lines.length - 1} more` : "";
  throw new AmiError("host.file", `${path}: ${lines[0] ?? `ended with ${status}`}${more}`, {
    host: host.name,
    hint: /permission denied|not permitted/i.test(stderr.toString()) ? "become a user who may: --become" : undefined,
  });
}
