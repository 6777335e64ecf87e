/** Masking: secrets of a run become dots in everything that is said about it. Program output is data and stays as it is. */
import type { EventBody, Events } from "./events.ts";
import type { Secret } from "./secret.ts";
import { mask } from "./secret.ts";

export interface Masking {
  add(secret: Secret): void;
  text(text: string): string;
  /** The same bus, with masked words. */
  events(events: Events): Events;
}

export function createMasking(): Masking {
  const secrets = new Set<string>();
  const text = (words: string): string => (secrets.size === 0 ? words : mask(words, secrets));
  return {
    add(secret) {
      secrets.add(secret.reveal());
    },
    text,
    events(events) {
      return {
        run: events.run,
        subscribe: events.subscribe,
        emit(body) {
          events.emit(
            secrets.size === 0 || body.kind === "output" || body.kind === "fold" ? body : maskBody(body, text),
          );
        },
      };
    },
  };
}

function maskBody(body: EventBody, text: (words: string) => string): EventBody {
  const masked: unknown = JSON.parse(JSON.stringify(body), (_key, value: unknown) =>
    typeof value === "string" ? text(value) : value,
  );
  return { ...body, ...(typeof masked === "object" ? masked : {}) };
}
