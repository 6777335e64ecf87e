/** Places: where the keys of the user lie on this machine. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { AmiError } from "../../errors.ts";
import { type KeyFile, readKeyFile } from "../keys.ts";

export function homeFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env["HOME"] || homedir();
}

/** A path as people write it, `~` included. */
export function keyPath(path: string, home: string = homeFolder()): string {
  return resolve(path.replace(/^~(?=\/|$)/, home));
}

const usualNames = ["id_ed25519", "id_ecdsa", "id_rsa"];

/** The first of the usual keys that there is. Rejects with `usage.input` when there is none. */
export async function usualKey(home: string = homeFolder()): Promise<string> {
  for (const name of usualNames) {
    const path = join(home, ".ssh", name);
    const file = await readKeyFile(path);
    if (file.state !== "missing") return path;
  }
  throw new AmiError("usage.input", `there is no key in ${join(home, ".ssh")} (${usualNames.join(", ")})`, {
    hint: "make one with: ami-node ssh key generate, or name another with --key",
  });
}

/** The public half of what a key file turned out to be, where it can be told without a passphrase. */
export function publicHalf(file: KeyFile): { readonly type: string; readonly blob: Buffer } | undefined {
  if (file.state === "ready" || file.state === "public") return file;
  return file.state === "locked" ? file.public : undefined;
}
