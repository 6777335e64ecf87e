/**
 * Musl: frees an executable made from Bun's musl runtime of its need for libstdc++, which a bare musl system (Alpine)
 * lacks. The three dozen functions it asks for are compiled from musl/stdcxx.c, put into a segment of their own, and the
 * runtime's imports of them become plain addresses. Works on a fixed-address x86-64 executable; refuses anything else.
 *
 * Needs gcc and binutils, on any machine they can make x86-64 code on.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Segment, dynamicEntries, programHeaders } from "./elf.ts";

const run = promisify(execFile);

const library = "libstdc++.so.6";
const segmentTypes = { load: 1, note: 4, tls: 7 } as const;
const tags = {
  ignored: 0x6fff_fe00n,
  needed: 1,
  strings: 5,
  symbols: 6,
  rela: 7,
  relaSize: 8,
  pltSize: 2,
  plt: 23,
} as const;
const relocations = { none: 0, address: 1, copy: 5, globDat: 6, jumpSlot: 7, relative: 8, threadOffset: 18 } as const;

/** The executable without the library. Throws when anything is not as this was written for. */
export async function dropLibstdcxx(executable: Buffer): Promise<Buffer> {
  const segments = programHeaders(executable);
  const imports = readImports(executable, segments);
  const { once, thread } = widenThreadBlock(segments);

  // A page of its own behind everything, in the file and in memory.
  const page = 4096;
  const offset = Math.ceil(executable.length / page) * page;
  const loads = segments.filter((segment) => segment.type === segmentTypes.load);
  const address = Math.ceil(Math.max(...loads.map((load) => load.address + load.memory)) / page) * page;
  const given = new Map([["thread_once_call", once.call]]);
  for (const { name, type, slot } of imports) {
    if (type === relocations.jumpSlot) given.set(`slot_${name}`, slot);
    if (type === relocations.copy) given.set(name.replace(/^_ZTVN10__cxxabiv1\d+__(\w+)E$/, "table_$1"), slot);
  }
  const { code, symbols } = await compile(address, given);

  const patched = Buffer.alloc(offset + code.length);
  executable.copy(patched);
  code.copy(patched, offset);
  for (const relocation of imports) rewrite(patched, relocation, symbols, once);
  forgetLibrary(patched, segments);
  writeSegment(patched, thread);
  const note = segments.find((segment) => segment.type === segmentTypes.note);
  if (note === undefined) throw new Error("the executable has no note to give its place to the new segment");
  writeSegment(patched, {
    ...note,
    type: segmentTypes.load,
    flags: 5,
    offset,
    address,
    size: code.length,
    memory: code.length,
    align: page,
  });
  return patched;
}

interface Import {
  readonly name: string;
  readonly type: number;
  /** Where the resolved address is kept. */
  readonly slot: number;
  /** Where the relocation itself stands in the file. */
  readonly at: number;
}

/** All relocations that name a symbol. */
function readImports(file: Buffer, segments: readonly Segment[]): readonly Import[] {
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
        slot: Number(file.readBigUInt64LE(at)),
        at,
      };
    }),
  );
}

/**
 * std::call_once keeps two pointers per thread, which the library would own. The block of the executable's thread
 * variables grows by them at its low end; all others keep their distance to the thread pointer.
 */
function widenThreadBlock(segments: readonly Segment[]): {
  once: { callable: number; call: number };
  thread: Segment;
} {
  const thread = segments.find((segment) => segment.type === segmentTypes.tls);
  if (thread === undefined || thread.align > 16) throw new Error("the thread variables are not laid out as expected");
  const widened = {
    ...thread,
    offset: thread.offset - 16,
    address: thread.address - 16,
    size: thread.size + 16,
    memory: thread.memory + 16,
  };
  // As musl places it: below the thread pointer, on the block's own alignment.
  const below = (block: Segment): number =>
    block.memory + ((((-block.memory - block.address) % block.align) + block.align) % block.align);
  if (below(widened) !== below(thread) + 16) throw new Error("the thread variables would move");
  return { once: { callable: -below(widened), call: -below(widened) + 8 }, thread: widened };
}

/** Points one import to our code; those of libc stay as they are. */
function rewrite(
  file: Buffer,
  { name, type, at }: Import,
  symbols: ReadonlyMap<string, number>,
  once: { readonly callable: number; readonly call: number },
): void {
  const become = (value: number | undefined): void => {
    file.writeBigUInt64LE(BigInt(value === undefined ? relocations.none : relocations.relative), at + 8);
    file.writeBigInt64LE(BigInt(value ?? 0), at + 16);
  };
  const ours = symbols.get(name);
  if (ours !== undefined) {
    if (type !== relocations.jumpSlot && type !== relocations.globDat && type !== relocations.address) {
      throw new Error(`${name} is imported in a way this does not know (${type})`);
    }
    become(ours);
  } else if (type === relocations.threadOffset) {
    if (name !== "_ZSt15__once_callable" && name !== "_ZSt11__once_call")
      throw new Error(`unknown thread variable ${name}`);
    become(name === "_ZSt11__once_call" ? once.call : once.callable);
  } else if (type === relocations.copy && /^_ZTVN10__cxxabiv1\d+__\w+_type_infoE$/.test(name)) {
    // Tables of functions that only exceptions and dynamic_cast call; their addresses are all that is used.
    become(undefined);
  } else if (/^(_Z|__gxx|__dynamic|_Unwind)/.test(name)) {
    throw new Error(`musl/stdcxx.c does not have ${name}: this runtime is newer than it`);
  }
}

/** Takes the library out of the list of needed ones: the entry gets a tag that loaders skip. */
function forgetLibrary(file: Buffer, segments: readonly Segment[]): void {
  const dynamic = segments.find((segment) => segment.type === 2);
  const strings = fileOffset(segments, new Map(dynamicEntries(file, segments)).get(tags.strings) ?? 0);
  dynamicEntries(file, segments).forEach(([tag, value], index) => {
    if (tag !== tags.needed) return;
    const name = file.toString("latin1", strings + value, file.indexOf(0, strings + value));
    if (name === library) file.writeBigInt64LE(tags.ignored, (dynamic?.offset ?? 0) + index * 16);
  });
}

function writeSegment(file: Buffer, segment: Segment): void {
  file.writeUInt32LE(segment.type, segment.at);
  file.writeUInt32LE(segment.flags, segment.at + 4);
  const fields = [segment.offset, segment.address, segment.address, segment.size, segment.memory, segment.align];
  fields.forEach((field, index) => file.writeBigUInt64LE(BigInt(field), segment.at + 8 + index * 8));
}

function fileOffset(segments: readonly Segment[], address: number): number {
  const segment = segments.find(
    (one) => one.type === segmentTypes.load && address >= one.address && address < one.address + one.size,
  );
  if (segment === undefined) throw new Error(`address ${address} lies outside the file`);
  return segment.offset + address - segment.address;
}

/** Compiles stdcxx.c for `address`, with the addresses it asks for. `symbols`: the address of each of its functions. */
async function compile(
  address: number,
  addresses: ReadonlyMap<string, number>,
): Promise<{ code: Buffer; symbols: ReadonlyMap<string, number> }> {
  const work = await mkdtemp(join(tmpdir(), "ami-node-musl-"));
  const at = (name: string): string => join(work, name);
  try {
    const flags = ["-std=c11", "-O2", "-ffreestanding", "-fno-builtin", "-fno-pic", "-fno-stack-protector"];
    const bare = ["-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-m64"];
    const source = join(import.meta.dirname, "musl/stdcxx.c");
    await run("gcc", [...flags, ...bare, "-c", source, "-o", at("stdcxx.o")]).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      throw new Error("the musl executable needs gcc and binutils to be made", { cause: error });
    });
    await writeFile(
      at("layout"),
      `SECTIONS {
        . = ${address};
        .text : { *(.text .text.* .rodata .rodata.*) }
        .data : { *(.data .data.* .bss .bss.* COMMON) }
        /DISCARD/ : { *(.comment .note.* .eh_frame) }
        ASSERT(SIZEOF(.data) == 0, "the code must not have variables")
      }`,
    );
    const { stdout: undefinedNames } = await run("nm", ["--undefined-only", "--format=posix", at("stdcxx.o")]);
    const given = undefinedNames
      .split("\n")
      .map((line) => line.split(" ")[0] ?? "")
      .filter((name) => name !== "")
      .map((name) => {
        const value = addresses.get(name);
        if (value === undefined) throw new Error(`the runtime does not import ${name}, which stdcxx.c needs`);
        return `--defsym=${name}=${value}`;
      });
    await run("ld", ["-m", "elf_x86_64", "-T", at("layout"), ...given, at("stdcxx.o"), "-o", at("linked")]);
    await run("objcopy", ["-O", "binary", "-j", ".text", at("linked"), at("code")]);
    const { stdout: names } = await run("nm", ["--defined-only", "--extern-only", "--format=posix", at("linked")]);
    const symbols = new Map(
      names.split("\n").flatMap((line) => {
        const [name, kind, value] = line.split(" ");
        return name !== undefined && kind === "T" && value !== undefined
          ? [[name, Number.parseInt(value, 16)] as const]
          : [];
      }),
    );
    return { code: await readFile(at("code")), symbols };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
