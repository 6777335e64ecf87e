/** Port holder: which program of this machine listens on a TCP port, as far as we may see. Linux only. */
import { readFile, readdir, readlink } from "node:fs/promises";
import { basename } from "node:path";

export interface PortHolder {
  readonly pid: number;
  readonly name: string;
}

export async function portHolder(port: number): Promise<PortHolder | undefined> {
  const inodes = new Set((await Promise.all(["tcp", "tcp6"].map((table) => listening(table, port)))).flat());
  if (inodes.size === 0) return undefined;
  const pids = (await readdir("/proc").catch(() => [])).filter((entry) => /^\d+$/.test(entry));
  for (const pid of pids) {
    const held = await sockets(pid);
    if (!held.some((inode) => inodes.has(inode))) continue;
    return { pid: Number(pid), name: await nameOf(pid) };
  }
  return undefined;
}

/** The program, not what a thread of it calls itself. */
async function nameOf(pid: string): Promise<string> {
  const words = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  const [program = ""] = words.split("\0");
  return basename(program.split(" ", 1)[0] ?? "") || "another program";
}

const listenState = "0A";

/** Inodes of the sockets that listen on a port. */
async function listening(table: string, port: number): Promise<string[]> {
  const lines = (await readFile(`/proc/net/${table}`, "utf8").catch(() => "")).split("\n").slice(1);
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return lines.flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    return state === listenState && local.endsWith(`:${hex}`) && inode !== undefined ? [inode] : [];
  });
}

/** Nothing of processes we may not look into. */
async function sockets(pid: string): Promise<string[]> {
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}
