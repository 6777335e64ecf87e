/** Elf: what a Linux executable says it needs. Reads 64-bit little-endian files, the only ones we make. */
export interface Elf {
  readonly machine: "x64" | "arm64" | `other (${number})`;
  /** The dynamic loader; undefined in a static file. */
  readonly interpreter: string | undefined;
  /** Shared libraries that must be there. */
  readonly needed: readonly string[];
}

/** Throws when `file` is no such ELF executable. */
export function readElf(file: Buffer): Elf {
  if (file.readUInt32BE(0) !== 0x7f454c46) throw new Error("no ELF file");
  if (file[4] !== 2 || file[5] !== 1) throw new Error("not a 64-bit little-endian ELF file");
  const machine = file.readUInt16LE(18);
  const segments = programHeaders(file);
  const interpreter = segments.find((segment) => segment.type === 3);
  return {
    machine: machine === 62 ? "x64" : machine === 183 ? "arm64" : `other (${machine})`,
    interpreter: interpreter === undefined ? undefined : cString(file, interpreter.offset),
    needed: neededOf(file, segments),
  };
}

export interface Segment {
  /** Where its header stands in the file. */
  readonly at: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  /** In the file. */
  readonly size: number;
  readonly memory: number;
  readonly align: number;
}

export function programHeaders(file: Buffer): readonly Segment[] {
  const start = Number(file.readBigUInt64LE(32));
  const [entrySize, count] = [file.readUInt16LE(54), file.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * entrySize;
    const number = (offset: number): number => Number(file.readBigUInt64LE(at + offset));
    return {
      at,
      type: file.readUInt32LE(at),
      flags: file.readUInt32LE(at + 4),
      offset: number(8),
      address: number(16),
      size: number(32),
      memory: number(40),
      align: number(48),
    };
  });
}

/** Tag and value of each entry, in order. */
export function dynamicEntries(
  file: Buffer,
  segments: readonly Segment[],
): readonly (readonly [tag: number, value: number])[] {
  const dynamic = segments.find((segment) => segment.type === 2);
  const entries: (readonly [tag: number, value: number])[] = [];
  if (dynamic === undefined) return entries;
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    const tag = Number(file.readBigInt64LE(at));
    if (tag === 0) break;
    entries.push([tag, Number(file.readBigUInt64LE(at + 8))]);
  }
  return entries;
}

function neededOf(file: Buffer, segments: readonly Segment[]): readonly string[] {
  const entries = dynamicEntries(file, segments);
  if (entries.length === 0) return [];
  const table = entries.find(([tag]) => tag === 5)?.[1] ?? 0;
  const segment = segments.find(({ type, address, size }) => type === 1 && table >= address && table < address + size);
  if (segment === undefined) throw new Error("the string table of the dynamic section lies nowhere");
  const strings = segment.offset + table - segment.address;
  return entries.filter(([tag]) => tag === 1).map(([, name]) => cString(file, strings + name));
}

function cString(file: Buffer, at: number): string {
  return file.toString("latin1", at, file.indexOf(0, at));
}
