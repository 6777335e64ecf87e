/** Share: one file for many destinations, read once. */
import { Buffer } from "node:buffer";
import type { Reader, SourceFile } from "./pieces.ts";

/** Pieces kept for those that come later: 32 MiB. Who is further behind than that reads again. */
const kept = 128;

export interface Shared {
  /** To be called once for each of the readers. */
  open(): Promise<SourceFile>;
  /** For the end of all. */
  close(): Promise<void>;
}

export function shareSource(open: () => Promise<SourceFile>, readers: number): Shared {
  let opening: Promise<SourceFile> | undefined;
  const pieces = new Map<number, { readonly bytes: Promise<Buffer>; left: number }>();

  const readOnce = async (reader: Reader, into: Buffer, at: number): Promise<number> => {
    let piece = pieces.get(at);
    if (piece === undefined) {
      const own = Buffer.allocUnsafe(into.length);
      piece = { bytes: reader.read(own, at).then((length) => own.subarray(0, length)), left: readers };
      pieces.set(at, piece);
      const [oldest] = pieces.keys();
      if (pieces.size > kept && oldest !== undefined) pieces.delete(oldest);
    }
    const bytes = await piece.bytes;
    if (--piece.left === 0) pieces.delete(at);
    return bytes.copy(into);
  };

  return {
    async open() {
      const source = await (opening ??= open());
      const lanes = source.lanes.map((lane) => {
        const shared = lane.then((reader) => ({ read: (into: Buffer, at: number) => readOnce(reader, into, at) }));
        shared.catch(() => undefined); // noticed by whoever uses it
        return shared;
      });
      return { ...source, lanes, close: () => Promise.resolve() };
    },
    async close() {
      const source = await opening?.catch(() => undefined);
      await source?.close();
    },
  };
}
