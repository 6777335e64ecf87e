/** Open: the verbs of a host: by sftp where it is there, by programs of the host otherwise. */
import type { Host } from "../../host.ts";
import { programVerbs } from "./by-programs.ts";
import { sftpVerbs } from "./by-sftp.ts";
import type { Verbs } from "./verbs.ts";

/** The caller ends them. Rejects as `Host.files` and `Host.exec` do, and with `host.file` where there is no POSIX shell. */
export async function openVerbs(host: Host, signal: AbortSignal): Promise<Verbs> {
  const files = await host.files?.(signal);
  return files === undefined ? programVerbs(host, signal) : sftpVerbs(host, files, signal);
}
