/** Check: is a made executable what its target says? For what cannot run here this is all there is to see. */
import { readElf } from "./elf.ts";
import { readMachO } from "./macho.ts";
import { readPe } from "./pe.ts";
import type { BinaryTarget } from "./targets.ts";

/** What is wrong with it; empty: nothing. Throws when it is not an executable of that format at all. */
export function findFaults(file: Buffer, expect: BinaryTarget["expect"]): readonly string[] {
  switch (expect.format) {
    case "elf": {
      const elf = readElf(file);
      return [
        ...differs("machine", elf.machine, expect.machine),
        ...differs("interpreter", elf.interpreter, expect.interpreter),
        ...elf.needed
          .filter((name) => !expect.needed.includes(name))
          .map((name) => `needs ${name}, which a bare system lacks`),
      ];
    }
    case "macho": {
      const { machine, signature } = readMachO(file);
      return [
        ...differs("machine", machine, expect.machine),
        ...(signature === undefined ? ["not signed"] : []),
        ...(signature !== undefined && signature.badPages > 0
          ? [`${signature.badPages} of ${signature.pages} pages differ from what was signed`]
          : []),
      ];
    }
    case "pe": {
      const pe = readPe(file);
      return [
        ...differs("machine", pe.machine, expect.machine),
        ...differs("subsystem", pe.subsystem, "console"),
        ...(pe.signature === "dangling" ? ["the signature of the runtime was left in and fits no more"] : []),
      ];
    }
  }
}

function differs(what: string, is: string | undefined, wanted: string): readonly string[] {
  return is === wanted ? [] : [`${what} is ${is ?? "none"}, not ${wanted}`];
}
