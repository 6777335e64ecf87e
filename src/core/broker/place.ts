/**
 * Place: the private folder where the broker listens, and why both sides may trust it.
 *
 * Node tells nothing about who is at the other end of a unix socket. Each side therefore holds to what the kernel does
 * enforce: the folder is a real folder of this very user, closed to all others (0700), and so is the one above it. Who is
 * not this user (or root, who can do everything anyway) can neither make a socket in it nor reach one through it. The
 * client looks at that each time, before it connects, and then shows a key that lies in the folder (0600, new with each
 * broker): one that can say it has read a file of the owner. It guards where a socket is reached by other ways than its
 * path, and where a file system does not keep to modes.
 */
import { lstatSync, mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { makeFolder } from "../folder.ts";
import { ownPaths } from "../config/paths.ts";
import { AmiError } from "../errors.ts";

export interface BrokerPlace {
  readonly folder: string;
  /** A link to the folder of the broker that runs: set anew in one step, so that socket and key always belong together. */
  readonly current: string;
  /** What the one in the background prints. */
  readonly log: string;
}

/** Where a broker is reached, and what is shown there. */
export interface Door {
  readonly socket: string;
  readonly key: string;
}

export function brokerPlace(env: NodeJS.ProcessEnv): BrokerPlace {
  // After `su` it is still that of the user before: nothing of ours belongs there.
  const named = env["XDG_RUNTIME_DIR"];
  const { runtime } = ownPaths(named === undefined || isOurs(named) ? env : { ...env, XDG_RUNTIME_DIR: "" });
  const folder = join(runtime, "broker");
  return { folder, current: join(folder, "current"), log: join(folder, "log") };
}

/** undefined: there is no broker, or none to be trusted. */
export function findDoor({ folder, current }: BrokerPlace): Door | undefined {
  try {
    if (!isPrivate(folder) || !isPrivate(join(folder, ".."))) return undefined;
    const own = join(folder, basename(readlinkSync(current)));
    const key = readFileSync(join(own, "key"), "utf8");
    return isPrivate(own) ? { socket: join(own, "socket"), key } : undefined;
  } catch {
    return undefined; // nobody has been there, or is going at this moment
  }
}

/** Makes the folder. Throws `config.invalid` where it would not be private, or a socket could not be. */
export function openPlace({ folder }: BrokerPlace): void {
  if (Buffer.byteLength(join(folder, "12345678", "socket")) > longestPath) {
    throw new AmiError("config.invalid", `${folder} is too long for the name of a socket`, {
      hint: "set XDG_RUNTIME_DIR or AMI_NODE_CONFIG_DIR to a folder with a shorter path",
    });
  }
  makeFolder(join(folder, ".."));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (!isOurs(folder)) throw error;
  }
  for (const path of [join(folder, ".."), folder]) {
    if (isPrivate(path)) continue;
    throw new AmiError("config.invalid", `${path} is not private: others may write or read in it`, {
      hint: `look what it is, then: chmod 700 ${path}`,
    });
  }
}

/** Of the smallest system (macOS); Linux has 107. */
const longestPath = 103;

function isOurs(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found !== undefined && !found.isSymbolicLink() && found.uid === process.getuid?.();
}

function isPrivate(path: string): boolean {
  const found = lstatSync(path);
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}
