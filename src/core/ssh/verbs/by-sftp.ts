/**
 * By sftp: the verbs over ssh2-sftp-client. That library logs in by itself and knows no other way, so its `connect` is
 * never called: it is handed a session on our own connection, with our pool, host keys, jump hosts and logins. All it
 * does with a connection is to call `this.sftp`; a test holds that against the installed version. Because it watches a
 * client of its own that never connects, the loss of ours is told here.
 */
import type SftpClient from "ssh2-sftp-client";
import type { SftpListed, SftpStats } from "ssh2-sftp-client";
import { AmiError, asAmiError } from "../../errors.ts";
import type { OpenFiles } from "../../files.ts";
import type { Host } from "../../host.ts";
import { visible } from "../../visible.ts";
import { cancelled } from "../patience.ts";
import { channelOf } from "../sftp.ts";
import { programVerbs } from "./by-programs.ts";
import { type Found, type Verbs, below, nameIn, typeOf } from "./verbs.ts";

export async function sftpVerbs(host: Host, files: OpenFiles, signal: AbortSignal): Promise<Verbs> {
  const { channel, connection } = channelOf(files);
  const { default: Client } = await import("ssh2-sftp-client");
  const client: SftpClient = new Client(host.name, silent);
  client.client.setMaxListeners(0); // three for each call under way
  client.sftp = channel;
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined); // raced
  const onAbort = (): void => aborted.reject(cancelled(host.name, signal.reason));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();

  const call = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await Promise.race([connection.during(work()), aborted.promise]);
    } catch (error) {
      throw fileError(host.name, path, error);
    }
  };
  const orNothing = async (path: string, work: () => Promise<SftpStats>): Promise<Found | undefined> => {
    const stats = await call(path, () => work().catch(ignoreMissing));
    if (stats === undefined) return undefined;
    const { mode, size, uid, gid, modifyTime } = stats;
    const found = { path, name: nameIn(path), size, mode: mode & 0o7777, mtime: Math.floor(modifyTime / 1000) };
    return withTarget({ ...found, type: typeOf(mode), owner: String(uid), group: String(gid) });
  };
  const withTarget = async (found: Found): Promise<Found> => {
    if (found.type !== "symlink") return found;
    return { ...found, leadsTo: await call(found.path, () => files.readlink(found.path)) };
  };

  const start = await call(".", () => client.realPath("."));
  return {
    start,
    home: start, // sftp knows no other
    look: (path) => orNothing(path, () => client.lstat(path)),
    follow: (path) => orNothing(path, () => client.stat(path)),
    async list(path) {
      const listed = (await call(path, () => client.list(path))).filter(({ name }) => name !== "." && name !== "..");
      if (listed.some(({ name }) => name === "" || name.includes("/")))
        throw new AmiError("host.file", `${path}: the server lists names that are none`, { host: host.name });
      // Only OpenSSH's way to list is known; what comes in another is looked at one by one.
      const all = await Promise.all(
        listed.map((each) => {
          const found = readListed(each, path);
          const own = below(path, each.name);
          return found === undefined ? orNothing(own, () => client.lstat(own)) : withTarget(found);
        }),
      );
      return all.filter((found) => found !== undefined);
    },
    async remove({ path, type }) {
      await call(path, () => (type === "folder" ? client.rmdir(path) : client.delete(path)));
    },
    async makeFolder(path, mode) {
      // The library's own mkdir takes no mode, and does nothing where a folder is already.
      await call(path, () => files.mkdir(path, mode ?? 0o777));
      if (mode !== undefined) await call(path, () => client.chmod(path, mode));
    },
    async move(from, to, { replace }) {
      try {
        await call(from, () => (replace ? client.posixRename(from, to) : client.rename(from, to)));
      } catch (error) {
        // The protocol has one word for all that can go wrong, another disk among it: mv can do that, and says why not.
        if (!isFailure(error)) throw error;
        const programs = await programVerbs(host, signal).catch(() => undefined);
        if (programs === undefined) throw error;
        await programs.move(from, to, { replace });
      }
    },
    async chmod(path, mode) {
      await call(path, () => client.chmod(path, mode));
    },
    end() {
      signal.removeEventListener("abort", onAbort);
      files.end();
    },
  };
}

const silent = { error: () => undefined, end: () => undefined, close: () => undefined };

const letters: Readonly<Record<string, Found["type"]>> = {
  "-": "file",
  d: "folder",
  l: "symlink",
  p: "pipe",
  s: "socket",
  b: "device",
  c: "device",
};

/** The library drops the mode; what is left of it are the letters of `ls -l`. Undefined: it has none. */
function readListed({ name, size, modifyTime, longname }: SftpListed, folder: string): Found | undefined {
  const found = /^([-dlpsbc])([-rwxsStT]{9})[.+@]?\s+\S+\s+(\S+)\s+(\S+)\s+\d+\s/.exec(longname);
  const [, letter = "", bits = "", owner = "", group = ""] = found ?? [];
  const type = letters[letter];
  if (type === undefined) return undefined;
  const mtime = Math.floor(modifyTime / 1000);
  return { path: below(folder, name), name, type, size, mode: modeOf(bits), owner, group, mtime };
}

/** `rwsr-xr-t` */
function modeOf(bits: string): number {
  let mode = 0;
  for (const [at, letter] of bits.split("").entries()) {
    if (/[rwxst]/.test(letter)) mode |= 0o400 >> at;
    if (/[sStT]/.test(letter)) mode |= 0o4000 >> Math.floor(at / 3);
  }
  return mode;
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT" && codeOf(error) !== noSuchFile) throw error;
}

const noSuchFile = 2;
const failure = 4;

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

function isFailure(error: unknown): boolean {
  return error instanceof AmiError && codeOf(error.cause) === failure;
}

function fileError(host: string, path: string, error: unknown): AmiError {
  if (error instanceof AmiError) return error;
  // "_chmod: Permission denied /etc/x": the words of the server are in the middle.
  const words = visible(asAmiError(error).message)
    .replace(/^(?:[\w]+(?:: |->))*/, "")
    .replace(/ (?:From: )?\/.*$/s, "");
  const why = words === "Failure" ? "the server refuses (not empty, not a folder, or there already?)" : lower(words);
  const hints: Readonly<Record<string, string>> = { 2: "look at the path", 3: "become a user who may: --become" };
  return new AmiError("host.file", `${path}: ${why}`, { host, hint: hints[String(codeOf(error))], cause: error });
}

function lower(words: string): string {
  return words.slice(0, 1).toLowerCase() + words.slice(1);
}
