/** Watch: what happens on the way to a login, told to whoever wants to explain it. Types only. */
import type { Identity } from "./identities.ts";

export interface Watch {
  phase?(phase: "the banner" | "key exchange" | "authentication"): void;
  /** The key the server showed, before it is judged. */
  hostKey?(key: Buffer): void;
  auth?(step: AuthStep): void;
}

export interface AuthStep {
  readonly method: string;
  /** For `publickey`. */
  readonly identity?: Identity | undefined;
  /**
   * `sent`: a request is under way. `wanted`: the server would take the key if it were signed for.
   * `refused`, `partial`: what the server answered.
   */
  readonly is: "sent" | "wanted" | "refused" | "partial";
  /** What the server said it accepts, with its refusal. */
  readonly accepts?: readonly string[] | undefined;
}
