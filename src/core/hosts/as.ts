/**
 * As: become another user by sudo, su or doas. A transport around a transport, so everything a Host can do is done
 * as that user, and passwords go where the program asks for them: an answered prompt, never argv, never the
 * program's own stdin.
 */
import type { Argv } from "../argv.ts";
import { AmiError } from "../errors.ts";
import type { BecomeOptions, Host } from "../host.ts";
import { converse } from "./converse.ts";
import { startBehindDoor } from "./door.ts";
import { newMark, stripMarks } from "./marks.ts";
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
  const process = await startMarked(base, switchArgv(to, argv, prompt), start);
  const mayAsk = to.password !== undefined || (to.method === "su" && base.user !== "root");
  return converse(process, {
    name: base.name,
    to,
    mark: start.mark,
    prompt,
    mayAsk,
    pty: start.pty !== undefined,
  });
}

/** A transport that is itself a switch of users must see a mark of its own, before the next switch asks anything. */
async function startMarked(base: RawTransport, argv: Argv, { pty, signal, urgent }: RawStart): Promise<RawProcess> {
  const mark = newMark();
  if (base.leads) return base.start(argv, { pty, signal, mark, urgent });
  const process = await base.start(["sh", "-c", `printf "%s;" "$1" >&2; shift; exec "$@"`, "sh", mark, ...argv], {
    pty,
    signal,
    mark,
    urgent,
  });
  const { stream } = stripMarks(pty === undefined ? process.stderr : process.stdout, mark, 1);
  return pty === undefined ? { ...process, stderr: stream } : { ...process, stdout: stream };
}
