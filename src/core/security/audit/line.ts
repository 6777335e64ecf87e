/**
 * Line: one entry of the audit log, sealed to the one before it: its hash is taken over its own text and the hash
 * before. Pure. The text is canonical (keys sorted, no blanks), so that nothing in it can be altered unseen.
 */
import { createHash } from "node:crypto";

/** What is written down. Absent members are left out. */
export type Entry =
  | { readonly kind: "start"; readonly effect: string; readonly hosts: readonly string[]; readonly params: unknown }
  /** Words of the user ran on a host, as themselves or after becoming somebody. Without words: the login shell. */
  | {
      readonly kind: "command";
      readonly host: string;
      readonly login: string;
      readonly as?: string | undefined;
      readonly argv?: readonly string[] | undefined;
      readonly exit?: number | undefined;
      readonly signal?: string | undefined;
      readonly error?: string | undefined;
      readonly ms: number;
    }
  /** A step of a provisioning changed something, or failed to. */
  | {
      readonly kind: "step";
      readonly host: string;
      readonly title: string;
      readonly changes?: readonly string[] | undefined;
      readonly outcome: string;
    }
  | {
      readonly kind: "denied";
      readonly host: string;
      readonly login: string;
      readonly as?: string | undefined;
      readonly does: string;
      readonly argv?: readonly string[] | undefined;
      readonly rule?: string | undefined;
    }
  | { readonly kind: "recording"; readonly host: string; readonly file: string }
  | {
      readonly kind: "end";
      readonly hosts: readonly string[];
      readonly exit: number;
      readonly error?: string | undefined;
      readonly ms: number;
    }
  /** Half a line stood at the end, as a crash leaves it; its bytes are told so that they stay what they were. */
  | { readonly kind: "torn"; readonly bytes: number; readonly sha256: string }
  /** What was found at the end was not what had been written there: lines are missing. */
  | { readonly kind: "broken"; readonly why: string };

/** Who says it. */
export interface Speaker {
  /** One run of a command. */
  readonly run: string;
  /** User of this machine. */
  readonly user: string;
  readonly verb: string;
}

export interface Link {
  readonly seq: number;
  readonly hash: string;
}

/** Before the first line. */
export const beginning: Link = { seq: 0, hash: "0".repeat(64) };

/** A line as it was read. What else its kind has is checked where it is shown. */
export interface AuditLine extends Link, Speaker {
  readonly at: string;
  readonly kind: string;
  readonly prev: string;
  readonly [member: string]: unknown;
}

/** The text of the next line, without its line break, and the link it is. */
export function sealLine(after: Link, at: Date, speaker: Speaker, entry: Entry): { text: string; link: Link } {
  const body = { seq: after.seq + 1, at: at.toISOString(), ...speaker, ...entry, prev: after.hash };
  const hash = hashOf(body);
  return { text: canonical({ ...body, hash }), link: { seq: body.seq, hash } };
}

/** undefined: that is no line of ours, or not as we would write it. By hand: a schema costs more than the rest of it. */
export function readLine(text: string): AuditLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isLine(value) && canonical(value) === text ? value : undefined;
}

function isLine(value: unknown): value is AuditLine {
  if (typeof value !== "object" || value === null) return false;
  const line = new Map<string, unknown>(Object.entries(value));
  const seq = line.get("seq");
  return (
    typeof seq === "number" &&
    Number.isSafeInteger(seq) &&
    seq > 0 &&
    ["at", "kind", "run", "user", "verb", "prev", "hash"].every((member) => typeof line.get(member) === "string")
  );
}

/** Is its hash that of its words? */
export function isSealed({ hash, ...body }: AuditLine): boolean {
  return hash === hashOf(body);
}

/** The line before is in it, so this one seals that one too. */
function hashOf(body: Readonly<Record<string, unknown>>): string {
  return createHash("sha256").update(canonical(body)).digest("hex");
}

export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
