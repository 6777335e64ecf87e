/**
 * As: become another user by sudo, su or doas. A transport around a transport, so everything a Host can do is done
 * as that user, and passwords go where the program asks for them: an answered prompt, never argv, never the
 * program's own stdin.
 */
import type { Readable } from "node:stream";
import type { Argv } from "../argv.ts";
import { AmiError } from "../errors.ts";
import type { BecomeOptions, Host } from "../host.ts";
import { converse } from "./converse.ts";
import { startBehindDoor } from "./door.ts";
import { afterMark, newMark, stripMarks } from "./marks.ts";
import type { RawProcess, RawStart, RawTransport } from "./raw.ts";
import { type Switch, loginArgv, switchArgv } from "./switch.ts";

/** The transport of another user over the same connection. Nothing is contacted until it is used. */
export function become(base: RawTransport, host: Host, user: string, options: BecomeOptions): RawTransport {
  if (!/^[A-Za-z_][A-Za-z0-9_.@-]*\$?$/.test(user))
    throw new AmiError("usage.input", `${JSON.stringify(user)} is no user name`);
  const isRoot = base.user === "root";
  // Root needs nobody's leave, and every system has su; sudo may be missing.
  const method = options.method ?? (isRoot ? "su" : "sudo");
  const to: Switch = { user, method, password: isRoot ? undefined : options.password };
  const { shell } = base;
  const common = {
    name: base.name,
    user,
    words: "shell",
    leads: false,
    close: () => Promise.resolve(),
    // On a terminal the person answers.
    ...(shell === undefined
      ? {}
      : { shell: (terminal, argv) => shell(terminal, loginArgv(to, argv)), escapeKey: base.escapeKey }),
  } satisfies Partial<RawTransport>;
  if (to.password === undefined || method === "sudo") {
    return {
      ...common,
      parallel: base.parallel,
      queue: "shared",
      start: (argv, start) => startPiped(base, to, argv, start),
    };
  }
  return {
    ...common,
    // Each program takes two channels, and two must be left for `kill`.
    parallel: Math.max(1, Math.floor(base.parallel / 2) - 1),
    start: (argv, start) =>
      start.pty === undefined ? startBehindDoor(host, to, argv, start) : startPiped(base, to, argv, start),
  };
}

async function startPiped(base: RawTransport, to: Switch, argv: Argv, start: RawStart): Promise<RawProcess> {
  // sudo asks in our own words, so that its question cannot be taken for anything else.
  const prompt = newMark();
  const mayAsk = to.password !== undefined || (to.method === "su" && base.user !== "root");
  const process = await startMarked(base, switchArgv(to, argv, prompt), start, mayAsk);
  return converse(process, {
    name: base.name,
    to,
    mark: start.mark,
    prompt,
    mayAsk,
    pty: start.pty !== undefined,
  });
}

/**
 * What is said before the switch asks anything is not its question: neither words of an rc file nor those of the switch
 * beneath. So a mark of its own goes before it, where a question may come or another switch is beneath.
 */
async function startMarked(
  base: RawTransport,
  argv: Argv,
  { pty, signal, urgent }: RawStart,
  mayAsk: boolean,
): Promise<RawProcess> {
  const mark = newMark();
  if (base.leads && !mayAsk) return base.start(argv, { pty, signal, mark, urgent });
  const process = await base.start(["sh", "-c", `printf "%s;" "$1" >&2; shift; exec "$@"`, "sh", mark, ...argv], {
    pty,
    signal,
    mark,
    urgent,
  });
  const cut = (source: Readable): Readable =>
    base.leads ? afterMark(source, `${mark};`) : stripMarks(source, mark, 1).stream;
  return pty === undefined ? { ...process, stderr: cut(process.stderr) } : { ...process, stdout: cut(process.stdout) };
}
