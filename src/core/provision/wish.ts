/** Wish: a blueprint as data: what was read (nodes) and what it comes to for one host (wishes). */
import type { z } from "zod";
import type { OsFacts } from "../facts.ts";
import type { Loaded, ResourceType } from "../resource.ts";

/** A read and validated blueprint. Nothing is rendered yet. */
export interface Blueprint {
  readonly name: string;
  /** As the user named it, for messages. */
  readonly file: string;
  /** Absolute folder; sources are relative to it. */
  readonly dir: string;
  readonly vars: Readonly<Record<string, unknown>>;
  /** In the order of execution (`after` applied, otherwise as written). */
  readonly resources: readonly ResourceNode[];
  readonly handlers: ReadonlyMap<string, ResourceNode>;
  /** Bodies of source and template files named without an expression, by absolute path. */
  readonly files: ReadonlyMap<string, Buffer>;
}

export interface ResourceNode {
  /** Place in the file: `resources[2]` or `handlers.reload nginx`. */
  readonly where: string;
  readonly line: number;
  readonly column: number;
  readonly id: string | undefined;
  readonly type: ResourceType;
  /** The type's own fields as written (strings may hold expressions). */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly common: Common;
}

/** Keys every resource may have. Expressions are still text. */
export interface Common {
  readonly when: string | boolean | undefined;
  readonly each: unknown;
  readonly register: string | undefined;
  readonly tags: readonly string[];
  readonly after: readonly string[];
  readonly notify: readonly string[];
  /** `true`: root. A name. `false`: not even when the command says --become. */
  readonly become: string | boolean | undefined;
  /** Seconds. */
  readonly timeout: number | undefined;
  readonly retries: number;
  readonly ignoreErrors: boolean;
}

/** What expressions see on one host. */
export interface Scope {
  /** `vars` of the blueprint overlaid by inventory vars, --vars-file and --var; values may hold expressions. */
  readonly vars: Readonly<Record<string, unknown>>;
  readonly hostName: string;
  /** undefined: not read yet; using one gives the state `facts`. */
  readonly os: OsFacts | undefined;
  /** Results of `register`, by name. Names of the blueprint not in here yet give the state `later`. */
  readonly registered: ReadonlyMap<string, Registered>;
}

export interface Registered {
  readonly changed: boolean;
  readonly skipped: boolean;
  readonly failed: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

/** What one node comes to on one host. */
export type Expansion =
  | { readonly state: "ready"; readonly wishes: readonly Wish[] }
  | { readonly state: "skipped"; readonly reason: string }
  /** Uses `host.os` and the like before they were read. */
  | { readonly state: "facts" }
  /** Uses the result of an earlier resource that has not run. */
  | { readonly state: "later"; readonly needs: string };

export interface Wish<T = z.output<z.ZodObject>> {
  /** Unique in the run: `resources[2]`, `resources[2]#1` for the second item of `each`. */
  readonly key: string;
  readonly node: ResourceNode;
  readonly type: ResourceType;
  /** Validated by the type's schema, with `loaded` added where the type names sources. */
  readonly wish: T & { readonly loaded?: Loaded };
  readonly title: string;
  readonly notify: readonly string[];
  /** A secret went into it: its diff is not shown. */
  readonly secret: boolean;
}
