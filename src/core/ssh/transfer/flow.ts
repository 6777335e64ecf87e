/** Flow: what happens to entries on their way: some left out, bytes counted, held back to a pace. */
import type { Buffer } from "node:buffer";
import { type Content, type Entries, type Entry, bytesOf } from "./entry.ts";
import type { Pace } from "./pace.ts";

export interface Tally {
  files: number;
  folders: number;
  links: number;
  bytes: number;
}

export interface FlowOptions {
  readonly tally: Tally;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  onBytes(total: number): void;
  /** Called with each path that arrives. */
  onEntry?: ((path: string) => void) | undefined;
}

export async function* flow(entries: Entries, options: FlowOptions): AsyncGenerator<Entry> {
  const { tally, pace, signal } = options;
  const count = async (bytes: number): Promise<void> => {
    tally.bytes += bytes;
    options.onBytes(tally.bytes);
    if (pace !== undefined) await pace(bytes, signal);
    signal.throwIfAborted();
  };
  for await (const entry of entries) {
    signal.throwIfAborted();
    options.onEntry?.(entry.path);
    if (entry.type === "folder") {
      if (entry.path !== "") tally.folders++;
      yield entry;
    } else if (entry.type !== "file") {
      tally.links++;
      yield entry;
    } else {
      tally.files++;
      if (isWhole(entry.content)) {
        await count(entry.content.length);
        yield entry;
      } else yield { ...entry, content: counted(entry.content, count) };
    }
  }
}

function isWhole(content: Content): content is Buffer {
  return !(Symbol.asyncIterator in content);
}

async function* counted(content: Content, count: (bytes: number) => Promise<void>): AsyncGenerator<Buffer> {
  for await (const bytes of bytesOf(content)) {
    await count(bytes.length);
    yield bytes;
  }
}
