/** Secret: a value that prints as dots everywhere; `reveal` is the one way to its words. */
const hidden = new WeakMap<Secret, string>();

export class Secret {
  constructor(value: string) {
    hidden.set(this, value);
  }

  reveal(): string {
    return hidden.get(this) ?? "";
  }

  toString(): string {
    return dots;
  }

  toJSON(): string {
    return dots;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return dots;
  }
}

export const dots = "••••••";

/**
 * Replaces every form of the given secrets (plain, base64, URL-encoded, JSON-escaped) by dots.
 * Values shorter than 3 characters are left alone: masking them would shred the text.
 */
export function mask(text: string, secrets: Iterable<string>): string {
  let out = text;
  for (const secret of secrets) {
    if (secret.length < 3) continue;
    for (const form of formsOf(secret)) out = out.replaceAll(form, dots);
  }
  return out;
}

function formsOf(secret: string): Set<string> {
  const base64 = Buffer.from(secret, "utf8").toString("base64");
  return new Set([
    secret,
    base64,
    base64.replace(/=+$/, ""),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    ...secret.split("\n").filter((line) => line.length >= 8),
  ]);
}
