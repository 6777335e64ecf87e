/** Policy: what one file says of what may be done where, and by whom. */

export interface Policy {
  readonly rules: readonly Rule[];
  /** What no rule decides. */
  readonly otherwise: "allow" | "deny";
  /** Nothing is done that cannot be written down. */
  readonly auditRequired: boolean;
}

/** Every condition that is given must hold. */
export interface Rule {
  /** Its place, `FILE:LINE`. */
  readonly at: string;
  readonly name?: string | undefined;
  readonly effect: "allow" | "deny" | "record";
  /** Names and addresses of hosts, `@group`; `!` before a pattern takes out. */
  readonly hosts?: readonly string[] | undefined;
  /** Users of this machine. */
  readonly by?: readonly string[] | undefined;
  /** The user as whom it is done there. */
  readonly users?: readonly string[] | undefined;
  /** The same, and only when they were become. */
  readonly become?: readonly string[] | undefined;
  readonly verbs?: readonly string[] | undefined;
  /** Beginnings of commands, a pattern for each word; `$` at the end: nothing follows. */
  readonly commands?: readonly (readonly string[])[] | undefined;
  readonly reason?: string | undefined;
}
