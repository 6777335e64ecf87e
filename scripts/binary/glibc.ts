/**
 * Glibc: lets an executable made from Bun's glibc runtime start where /proc is not mounted (an empty root): its calls of
 * one libc function are led through graft/stack.c.
 */
import { programHeaders } from "./elf.ts";
import { graft, readImports, relocations, segmentTypes } from "./graft.ts";

/** The executable with the detour. Throws when anything is not as this was written for. */
export async function startWithoutProc(executable: Buffer): Promise<Buffer> {
  const slots = new Map<string, number>();
  for (const { name, type, slot } of readImports(executable)) if (type === relocations.jumpSlot) slots.set(name, slot);
  const addresses = new Map([...slots].map(([name, slot]) => [`slot_${name}`, slot]));
  const { file, symbols } = await graft(executable, "stack", addresses);

  const [slot, ours] = [slots.get("pthread_getattr_np"), symbols.get("getattr_anywhere")];
  if (slot === undefined || ours === undefined) throw new Error("the runtime does not ask for its stack as it did");
  const stub = findStub(executable, slot);
  // The stub jumped to where its slot points; now it jumps to us, and we go on through the slot.
  file.writeUInt8(0xe9, stub.offset);
  file.writeInt32LE(ours - (stub.address + 5), stub.offset + 1);
  return file;
}

/** The one instruction `jmp *slot(%rip)` of the linkage table. */
function findStub(executable: Buffer, slot: number): { readonly offset: number; readonly address: number } {
  const [read, execute] = [4, 1];
  const code = programHeaders(executable).find(
    ({ type, flags }) => type === segmentTypes.load && flags === (read | execute),
  );
  if (code === undefined) throw new Error("the executable has no code");
  // Stubs stand at multiples of 16 at the very end of the code.
  for (let at = Math.floor((code.address + code.size) / 16) * 16; at > code.address + code.size - 65536; at -= 16) {
    const offset = at - code.address + code.offset;
    if (executable.readUInt16BE(offset) === 0xff25 && at + 6 + executable.readInt32LE(offset + 2) === slot) {
      return { offset, address: at };
    }
  }
  throw new Error("the linkage table is not where it was");
}
