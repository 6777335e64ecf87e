/** Answer: command lines that others have run in this process, as if each had run its own. */
import { isAbsolute } from "node:path";
import { commands } from "../commands/registry.ts";
import { homeFolder } from "../core/config/paths.ts";
import type { Answering } from "../core/visit.ts";
import type { Parsed } from "./parse.ts";
import { findCommand } from "./words.ts";

/** The verb that others may have run here; others take files and terminals that are theirs. */
const name = "ssh execute";

export async function openAnswering(): Promise<Answering> {
  const entry = commands.find((one) => one.name === name);
  if (entry === undefined) throw new Error(`${name} is not registered`);
  // Loaded before the first visitor waits for it.
  const [command, { parse }, { NotAdmitted, run }, { createSharedLinks }] = await Promise.all([
    entry.load(),
    import("./parse.ts"),
    import("../app.ts"),
    import("../core/ssh/shared-links.ts"),
    import("../core/hosts/open.ts"),
    import("../core/nodes/resolve.ts"),
    import("../core/nodes/inventory.ts"),
  ]);
  const links = createSharedLinks();
  return {
    async answer(visit) {
      let parsed: Parsed;
      try {
        const found = findCommand(visit.argv, [name]);
        if (found.is !== "command") return undefined;
        parsed = parse(command, found.before, found.rest);
      } catch {
        return undefined; // the visitor tells what is wrong with its words
      }
      if (parsed.want === "help" || !mayRun(parsed)) return undefined;
      try {
        return await run({
          command,
          input: parsed.input,
          globals: parsed.globals,
          stdio: visit.stdio,
          env: visit.env,
          signal: visit.signal,
          interrupt: visit.interrupt,
          hasReaderLeft: visit.hasReaderLeft,
          guest: {
            cwd: visit.cwd,
            home: homeFolder(visit.env),
            prompter: visit.prompter,
            links,
            admit(targets) {
              // What runs on this machine runs where the visitor is, with its environment and limits.
              if (targets.some(({ kind }) => kind !== "ssh")) throw new NotAdmitted();
            },
          },
        });
      } catch (error) {
        if (error instanceof NotAdmitted) return undefined;
        throw error;
      }
    },
    logins: links.logins,
    close: links.close,
    expire: links.expire,
  };
}

/** Files and passwords of the visitor are for the visitor to read, and paths are read from where it is. */
function mayRun({ input, globals }: Extract<Parsed, { want: "run" }>): boolean {
  const { sshConfig = "none", identities, targetsFile, askPass, askBecomePass } = globals;
  const others = [input["script"], input["stdinFile"], targetsFile, askPass, askBecomePass];
  return (
    others.every((other) => other === undefined) &&
    (isAbsolute(sshConfig) || sshConfig === "none") &&
    identities.every((path) => isAbsolute(path) || /^~(?=\/|$)/.test(path))
  );
}
