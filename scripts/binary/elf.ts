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
  const dynamic = segments.find((segment) => segment.type === 2);
  return {
    machine: machine === 62 ? "x64" : machine === 183 ? "arm64" : `other (${machine})`,
    interpreter: interpreter === undefined ? undefined : cString(file, interpreter.offset),
    needed: dynamic === undefined ? [] : neededOf(file, segments, dynamic),
  };
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

function programHeaders(file: Buffer): readonly Segment[] {
  const start = Number(file.readBigUInt64LE(32));
  const [entrySize, count] = [file.readUInt16LE(54), file.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * entrySize;
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      size: Number(file.readBigUInt64LE(at + 32)),
    };
  });
}

function neededOf(file: Buffer, segments: readonly Segment[], dynamic: Segment): readonly string[] {
  const entries: (readonly [tag: bigint, value: number])[] = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    const tag = file.readBigInt64LE(at);
    if (tag === 0n) break;
    entries.push([tag, Number(file.readBigUInt64LE(at + 8))]);
  }
  const table = entries.find(([tag]) => tag === 5n)?.[1] ?? 0;
  const segment = segments.find(({ type, address, size }) => type === 1 && table >= address && table < address + size);
  if (segment === undefined) throw new Error("the string table of the dynamic section lies nowhere");
  const strings = segment.offset + table - segment.address;
  return entries.filter(([tag]) => tag === 1n).map(([, name]) => cString(file, strings + name));
}

function cString(file: Buffer, at: number): string {
  return file.toString("latin1", at, file.indexOf(0, at));
}
