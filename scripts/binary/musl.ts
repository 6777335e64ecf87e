/**
 * Musl: frees an executable made from Bun's musl runtime of its need for libstdc++, which a bare musl system (Alpine)
 * lacks. The three dozen functions it asks for come from graft/stdcxx.c; its imports of them become plain addresses.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Segment, dynamicEntries, programHeaders } from "./elf.ts";
import { type Import, fileOffset, graft, readImports, relocations, segmentTypes, tags, writeSegment } from "./graft.ts";

const library = "libstdc++.so.6";

/** The executable without the library. Throws when anything is not as this was written for. */
export async function dropLibstdcxx(executable: Buffer): Promise<Buffer> {
  const segments = programHeaders(executable);
  const imports = readImports(executable);
  const { once, thread } = widenThreadBlock(segments);
  const given = new Map([["thread_once_call", once.call]]);
  for (const { name, type, slot } of imports) {
    if (type === relocations.jumpSlot) given.set(`slot_${name}`, slot);
    if (type === relocations.copy) given.set(name.replace(/^_ZTVN10__cxxabiv1\d+__(\w+)E$/, "table_$1"), slot);
  }
  const { file, symbols } = await graft(executable, "stdcxx", given);
  const libc = await functionsOfLibc();
  for (const relocation of imports) rewrite(file, relocation, symbols, once, libc);
  forgetLibrary(file, segments);
  writeSegment(file, thread);
  return file;
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

/** What the runtime may ask of musl itself; a test holds the list against musl. */
export async function functionsOfLibc(): Promise<ReadonlySet<string>> {
  return new Set((await readFile(join(import.meta.dirname, "graft/musl.txt"), "utf8")).trim().split("\n"));
}

/** Points one import to our code. Those of libc stay as they are, and any other is refused. */
function rewrite(
  file: Buffer,
  { name, type, at, weak }: Import,
  symbols: ReadonlyMap<string, number>,
  once: { readonly callable: number; readonly call: number },
  libc: ReadonlySet<string>,
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
  } else if (name !== "" && !weak && !libc.has(name)) {
    throw new Error(`neither graft/stdcxx.c nor graft/musl.txt has ${name}: this runtime is newer than they are`);
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
