/**
 * Resource: one word of a blueprint (`file`, `package`, ...): what it owns, what it must know, what it would change.
 * Deciding is pure. A resource type never writes shell: it names probes and steps, a dialect compiles them.
 */
import type { z } from "zod";
import type { Facts, OsFacts, Probe } from "./facts.ts";
import type { Secret } from "./secret.ts";

export interface ResourceType<S extends z.ZodObject = z.ZodObject> {
  /** The key that names it in a blueprint; also a key of `schema`. */
  readonly type: string;
  readonly summary: string;
  /** Strict; every field described. Holds the type key and own keys only, not the common ones. Sees rendered values. */
  readonly schema: S;
  /** YAML, for the reference. */
  readonly examples: readonly string[];
  /** Further rules across fields, as zod issues cannot say them well. Empty: fine. Paths are relative to the resource. */
  check?(wish: z.output<S>, place: Place): readonly { readonly path: readonly string[]; readonly message: string }[];
  /** What one line of output calls it: `file /etc/x`. */
  title(wish: z.output<S>): string;
  /** What it owns: `path:/etc/x`, `line:/etc/x:text`, `unit:nginx`. Two resources with one claim are an error before contact. */
  claims(wish: z.output<S>): readonly string[];
  probes(wish: z.output<S>): readonly Probe[];
  /** Lines of the user that a shell may run for it there, guards included: judged by the policy before contact. */
  lines?(wish: z.output<S>): readonly string[];
  /**
   * Pure. `[]`: already so. `later`: cannot be told before what comes earlier is done.
   * Throws AmiError `plan.refused` when the wish cannot be met on this target.
   */
  plan(wish: z.output<S>, facts: Facts, world: World): Plan;
  /** The wish holds something that is always done (a command without a guard): not part of the settled check. */
  alwaysRuns?(wish: z.output<S>): boolean;
  /** Fields that name a file beside the blueprint; the reader loads them before `plan` (see `Loaded`). */
  readonly sources?: readonly { readonly field: string; readonly render: boolean }[];
}

/** Where in a blueprint a wish stands. */
export interface Place {
  /** Done only when something asks for it: a handler, or with a `when`. */
  readonly guarded: boolean;
}

/** Bodies of files named by `sources`, by field. Put by the reader into the wish under `loaded`. */
export type Loaded = Readonly<Record<string, Buffer>>;

/** What a plan may know besides its own facts. */
export interface World {
  readonly os: OsFacts;
  /** Does an earlier, still pending change of this stage provide it? `user:app`, `unit:nginx`, `path:/x`, `directory:/x`. */
  provides(what: string): boolean;
  /** Is any earlier change of this stage pending that could change what a shell line or a package brings? */
  readonly pending: boolean;
  /** Does any earlier pending change run a program (a command, a package manager), which may bring anything? */
  readonly pendingPrograms: boolean;
  /** Does an earlier pending change of this stage write, link or remove something at or below this path? */
  touches(path: string): boolean;
  /** Does an earlier pending change of this stage remove this path, or what it lies in, and none make it anew? */
  removes(path: string): boolean;
}

export type Plan = readonly Change[] | Later;

export interface Later {
  readonly later: string;
}

export function later(reason: string): Later {
  return { later: reason };
}

export function isLater(plan: Plan): plan is Later {
  return !Array.isArray(plan);
}

export interface Change {
  /** One line in the imperative past: `content`, `mode 0600 -> 0644`, `install nginx`. */
  readonly summary: string;
  readonly steps: readonly Step[];
  /** For `--diff`: how the bytes at `path` change; the engine fetches the old content itself. */
  readonly diff?:
    | { readonly path: string; readonly after: Buffer | undefined | ((before: Buffer) => Buffer) }
    | undefined;
  readonly provides?: readonly string[] | undefined;
  /** Set when something of value is lost: the question asked. */
  readonly destroys?: string | undefined;
  /**
   * Decided on the target, right before the steps run, when earlier changes may alter it:
   * skip when one of the paths exists, or one of the shell lines succeeds.
   */
  readonly unless?: readonly Guard[] | undefined;
  /** Whatever comes of it, it counts as no change. */
  readonly quiet?: boolean | undefined;
  /** Changes with one key and nothing changing between them are done as one. */
  readonly batch?: { readonly key: "apt-install" | "apt-remove"; readonly names: readonly string[] } | undefined;
}

export type Guard = { readonly exists: string } | { readonly shell: string; readonly cwd?: string | undefined };

/** Words for the dialect. Each is done whole or not at all; each is safe to repeat. */
export type Step =
  /** Temp file beside, mode and owner, rename. Without `mode` the old mode stays; a new file gets 0644. Same for owner. */
  | ({ readonly do: "write"; readonly path: string; readonly body: Buffer } & Perms)
  /** Makes parents (0755 by umask); an existing directory stays. */
  | ({ readonly do: "mkdir"; readonly path: string } & Perms)
  | { readonly do: "chmod"; readonly path: string; readonly mode: string }
  /** Of the link itself when it is one. */
  | {
      readonly do: "chown";
      readonly path: string;
      readonly owner?: string | undefined;
      readonly group?: string | undefined;
    }
  /** Symlink, replaced by rename. */
  | { readonly do: "symlink"; readonly path: string; readonly target: string }
  /** Files and links; directories with all they hold when `recursive`, else only empty ones. */
  | { readonly do: "remove"; readonly path: string; readonly recursive: boolean }
  /** At the end, unless the file holds the line by then. */
  | { readonly do: "append"; readonly path: string; readonly line: string }
  | { readonly do: "drop-line"; readonly path: string; readonly line: string }
  /** A program; fails unless it exits 0. */
  | {
      readonly do: "run";
      readonly argv: readonly string[];
      readonly env?: Readonly<Record<string, string>> | undefined;
      readonly stdin?: Secret | undefined;
    }
  /**
   * useradd, groupmod and their kin; brings nothing that the change does not say. Not run when the program `unless`
   * succeeds: an earlier package or command of the stage may have made the account.
   */
  | { readonly do: "account"; readonly argv: readonly string[]; readonly unless?: readonly string[] | undefined }
  /**
   * Waits for apt's lock. `install` removes nothing, and reads the package lists anew when they lack a name or are too
   * old to download from; `remove` refuses to take along packages that were not named.
   */
  | { readonly do: "apt"; readonly action: "install" | "remove"; readonly names: readonly string[] }
  /** systemd, by full unit name. Starting, restarting and reloading fail, with the unit's last words, unless it stays up. */
  | {
      readonly do: "unit";
      readonly action: "start" | "stop" | "restart" | "reload" | "enable" | "disable";
      readonly name: string;
    }
  /** systemd reads all unit files again. */
  | { readonly do: "daemon-reload" }
  /** A shell line of the user, run by `sh -c`. */
  | {
      readonly do: "shell";
      readonly line: string;
      readonly cwd?: string | undefined;
      readonly env?: Readonly<Record<string, string>> | undefined;
    };

export interface Perms {
  /** Octal: `0644`. */
  readonly mode?: string | undefined;
  readonly owner?: string | undefined;
  readonly group?: string | undefined;
}

/** Gives a resource type its types and nothing else. */
export function defineResource<S extends z.ZodObject>(type: ResourceType<S>): ResourceType<S> {
  return type;
}
