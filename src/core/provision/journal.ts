/**
 * Journal: which handlers are due in this run, and which stand in a journal on the target: owed until they ran, or turned
 * out not to be due. A handler that failed, or was never reached, is found there by the next run.
 */
import type { Facts } from "../facts.ts";
import type { Job } from "./apply.ts";
import type { JournalEntry } from "./dialects/sh.ts";
import { journalEntry } from "./probes/journal.ts";
import type { UserKey } from "./sessions.ts";
import type { Blueprint, ResourceNode } from "./wish.ts";

export class Journal {
  readonly #blueprint: Blueprint;
  readonly #due = new Set<string>();
  /** Each user has a journal of their own. */
  readonly #written = new Map<UserKey, Set<string>>();

  constructor(blueprint: Blueprint) {
    this.#blueprint = blueprint;
  }

  /** What an interrupted run left in this user's journal. */
  read(user: UserKey, facts: Facts): void {
    const { handlers } = facts.get({ kind: "journal", blueprint: this.#blueprint.name });
    this.write(user, handlers);
    this.notify(handlers.filter((handler) => this.#blueprint.handlers.has(handler)));
  }

  /** These stand in the user's journal now. */
  write(user: UserKey, handlers: readonly string[]): void {
    if (handlers.length === 0) return;
    this.#written.set(user, new Set([...(this.#written.get(user) ?? []), ...handlers]));
  }

  notify(handlers: readonly string[]): void {
    for (const handler of handlers) this.#due.add(handler);
  }

  /** Handlers of this run and those an interrupted run still owes, once each, in the order of the blueprint. */
  due(): ResourceNode[] {
    return [...this.#blueprint.handlers].flatMap(([name, node]) => (this.#due.has(name) ? [node] : []));
  }

  /** What a change writes down before it begins. */
  entries(handlers: Iterable<string>): JournalEntry[] {
    return [...new Set(handlers)].map((handler) => journalEntry(this.#blueprint.name, handler));
  }

  /** What empties the journal, for each user one job. */
  clearing(): Job[] {
    return [...this.#written].map(([user, handlers]) => ({
      index: -1,
      user,
      steps: [],
      journal: [],
      clear: this.entries(handlers).map(({ file }) => file),
      guards: [],
      ignoreErrors: false,
      retries: 0,
      timeout: undefined,
    }));
  }
}
