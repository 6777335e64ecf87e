/** Login: what is needed to log in, and what is remembered of it. Types only. */
import type { Secret } from "../secret.ts";
import type { Identities, Pause } from "./identities.ts";
import type { Ask } from "./options.ts";
import type { Watch } from "./watch.ts";

export interface Login {
  /** What the target is called. */
  readonly name: string;
  readonly host: string;
  readonly user: string;
  readonly identities: Identities;
  /** In the order to try them; what is switched off is not among them. */
  readonly methods: readonly Method[];
  /** Nothing but a key counts, until the server has taken one and wants more besides it. */
  readonly keyFirst: boolean;
  readonly ask: Ask | undefined;
  /** How often a person is asked for one password or code. */
  readonly prompts: number;
  /** May keys sign with this algorithm? RSA keys with SHA-1 (`ssh-rsa`) only for servers that know nothing better. */
  mayUse(algorithm: string): boolean;
  readonly pause: Pause;
  readonly memory: Memory;
  readonly watch?: Watch | undefined;
}

export type Method = "publickey" | "keyboard-interactive" | "password";

/** Lives as long as the pool, so that a second connection logs in without asking again. */
export interface Memory {
  /** The one that worked. */
  password?: Secret | undefined;
  /** Something else was asked for, such as a one-time code: a second login would have to ask again. */
  challenged?: boolean;
}
