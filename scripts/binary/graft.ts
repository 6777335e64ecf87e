/**
 * Graft: puts functions of our own, written in freestanding C, into a fixed-address x86-64 Linux executable, as a segment
 * of its own behind everything else. The code is compiled beforehand (graft/*.json), so that no compiler is needed here.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Segment, dynamicEntries, programHeaders } from "./elf.ts";

export const segmentTypes = { load: 1, note: 4, tls: 7 } as const;
export const tags = {
  ignored: 0x6fff_fe00n,
  needed: 1,
  strings: 5,
  symbols: 6,
  rela: 7,
  relaSize: 8,
  pltSize: 2,
  plt: 23,
} as const;
export const relocations = {
  none: 0,
  address: 1,
  copy: 5,
  globDat: 6,
  jumpSlot: 7,
  relative: 8,
  threadOffset: 18,
} as const;

/**
 * A copy of `executable` with the functions of graft/`name`.c in it, and the address of each. The symbols that
 * the source leaves undefined get their values from `addresses`. Throws when anything is not as this was made for.
 */
export async function graft(
  executable: Buffer,
  name: "stack" | "stdcxx",
  addresses: ReadonlyMap<string, number>,
): Promise<{ file: Buffer; symbols: ReadonlyMap<string, number> }> {
  const segments = programHeaders(executable);
  const page = 4096;
  const offset = Math.ceil(executable.length / page) * page;
  const loads = segments.filter((segment) => segment.type === segmentTypes.load);
  const address = Math.ceil(Math.max(...loads.map((load) => load.address + load.memory)) / page) * page;
  const compiled = JSON.parse(await readFile(join(import.meta.dirname, "graft", `${name}.json`), "utf8")) as Compiled;
  const { code, symbols } = place(compiled, address, addresses);
  const file = Buffer.alloc(offset + code.length);
  executable.copy(file);
  code.copy(file, offset);
  // Nobody needs the note with the build's id; loaders do need room in their table.
  const note = segments.find((segment) => segment.type === segmentTypes.note);
  if (note === undefined) throw new Error("the executable has no note to give its place to the new segment");
  const readAndExecute = 5;
  const where = { offset, address, size: code.length, memory: code.length, align: page };
  writeSegment(file, { at: note.at, type: segmentTypes.load, flags: readAndExecute, ...where });
  return { file, symbols };
}

export interface Import {
  readonly name: string;
  readonly type: number;
  /** Its absence is provided for. */
  readonly weak: boolean;
  /** Where the resolved address is kept. */
  readonly slot: number;
  /** Where the relocation itself stands in the file. */
  readonly at: number;
}

/** All relocations that name a symbol. */
export function readImports(file: Buffer): readonly Import[] {
  const segments = programHeaders(file);
  const entries = new Map(dynamicEntries(file, segments));
  const where = (tag: number): number => fileOffset(segments, entries.get(tag) ?? 0);
  const [symbols, strings] = [where(tags.symbols), where(tags.strings)];
  const tables = [
    [where(tags.rela), entries.get(tags.relaSize) ?? 0],
    [where(tags.plt), entries.get(tags.pltSize) ?? 0],
  ] as const;
  return tables.flatMap(([start, size]) =>
    Array.from({ length: size / 24 }, (_, index) => {
      const at = start + index * 24;
      const symbol = symbols + file.readUInt32LE(at + 12) * 24;
      const name = strings + file.readUInt32LE(symbol);
      return {
        name: file.toString("latin1", name, file.indexOf(0, name)),
        type: file.readUInt32LE(at + 8),
        weak: file.readUInt8(symbol + 4) >> 4 === 2,
        slot: Number(file.readBigUInt64LE(at)),
        at,
      };
    }),
  );
}

export function writeSegment(file: Buffer, segment: Segment): void {
  file.writeUInt32LE(segment.type, segment.at);
  file.writeUInt32LE(segment.flags, segment.at + 4);
  const fields = [segment.offset, segment.address, segment.address, segment.size, segment.memory, segment.align];
  fields.forEach((field, index) => file.writeBigUInt64LE(BigInt(field), segment.at + 8 + index * 8));
}

export function fileOffset(segments: readonly Segment[], address: number): number {
  const segment = segments.find(
    (one) => one.type === segmentTypes.load && address >= one.address && address < one.address + one.size,
  );
  if (segment === undefined) throw new Error(`address ${address} lies outside the file`);
  return segment.offset + address - segment.address;
}

/** Compiled code that can be put at any address; made by graft/compile.ts. */
export interface Compiled {
  /** Of the source it was made from. */
  readonly sha256: string;
  readonly compiler: string;
  /** Base64. */
  readonly code: string;
  /** Offset of each function. */
  readonly symbols: Readonly<Record<string, number>>;
  /**
   * Where an address is to be filled in, 4 bytes: of a symbol we are given, or of the code itself (""). `relative`: to
   * the place where it is filled in.
   */
  readonly holes: readonly {
    readonly at: number;
    readonly symbol: string;
    readonly addend: number;
    readonly relative: boolean;
  }[];
}

function place(
  compiled: Compiled,
  address: number,
  addresses: ReadonlyMap<string, number>,
): { code: Buffer; symbols: ReadonlyMap<string, number> } {
  const code = Buffer.from(compiled.code, "base64");
  for (const { at, symbol, addend, relative } of compiled.holes) {
    const target = symbol === "" ? address : addresses.get(symbol);
    if (target === undefined) throw new Error(`the runtime does not import ${symbol}, which our code needs`);
    code.writeInt32LE(target + addend - (relative ? address + at : 0), at);
  }
  const symbols = new Map(Object.entries(compiled.symbols).map(([name, offset]) => [name, address + offset]));
  return { code, symbols };
}
