/**
 * Compile: makes stack.json and stdcxx.json anew after a change of their C source. Needs gcc and binutils.
 *
 *   node scripts/binary/graft/compile.ts
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Compiled } from "../graft.ts";

const run = promisify(execFile);
const here = import.meta.dirname;

/** How the sources are compiled: for no operating system, without data of their own, for any address below 2 GiB. */
export const flags = [
  "-std=c11",
  "-O2",
  "-m64",
  "-ffreestanding",
  "-fno-builtin",
  "-fno-pic",
  "-fno-stack-protector",
  "-fcf-protection=none",
  "-fno-asynchronous-unwind-tables",
];

export async function compile(source: string): Promise<Compiled> {
  const work = await mkdtemp(join(tmpdir(), "ami-node-graft-"));
  const at = (name: string): string => join(work, name);
  try {
    await run("gcc", [...flags, "-c", source, "-o", at("source.o")]);
    await writeFile(
      at("layout"),
      `SECTIONS {
        .text : { *(.text .text.* .rodata .rodata.*) }
        .data : { *(.data .data.* .bss .bss.* COMMON) }
        ASSERT(SIZEOF(.data) == 0, "the code must not have variables")
        /DISCARD/ : { *(.comment .note.* .eh_frame) }
      }`,
    );
    await run("ld", ["-m", "elf_x86_64", "-r", "-T", at("layout"), at("source.o"), "-o", at("one.o")]);
    await run("objcopy", ["-O", "binary", "-j", ".text", at("one.o"), at("code")]);
    const { stdout: names } = await run("nm", ["--defined-only", "--extern-only", "--format=posix", at("one.o")]);
    const { stdout: relocations } = await run("readelf", ["--relocs", "--wide", at("one.o")]);
    const { stdout: version } = await run("gcc", ["-dumpfullversion"]);
    return {
      sha256: createHash("sha256")
        .update(await readFile(source))
        .digest("hex"),
      compiler: `gcc ${version.trim()}`,
      code: (await readFile(at("code"))).toString("base64"),
      symbols: Object.fromEntries(
        names
          .trim()
          .split("\n")
          .map((line) => {
            const [name = "", , value = ""] = line.split(" ");
            return [name, Number.parseInt(value, 16)];
          }),
      ),
      holes: relocations.split("\n").flatMap((line) => holeOf(line)),
    };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** One line of readelf: offset, info, type, value, name, + or -, addend. */
function holeOf(line: string): Compiled["holes"] {
  const words = /^([0-9a-f]{16}) +[0-9a-f]{16} (R_X86_64_\w+) +([0-9a-f]{16}) (\S+) ([+-]) ([0-9a-f]+)/.exec(line);
  if (words === null) return [];
  const [, at = "", type = "", value = "", name = "", sign, addend = ""] = words;
  // The code itself, or a constant in it.
  const own = name.startsWith(".");
  const relative = type === "R_X86_64_PC32" || type === "R_X86_64_PLT32";
  if (!relative && type !== "R_X86_64_32" && type !== "R_X86_64_32S") throw new Error(`${type} is not provided for`);
  return [
    {
      at: Number.parseInt(at, 16),
      symbol: own ? "" : name,
      addend: (own ? Number.parseInt(value, 16) : 0) + (sign === "-" ? -1 : 1) * Number.parseInt(addend, 16),
      relative,
    },
  ];
}

if (import.meta.main) {
  for (const name of ["stack", "stdcxx"]) {
    const compiled = await compile(join(here, `${name}.c`));
    await writeFile(join(here, `${name}.json`), `${JSON.stringify(compiled, undefined, 2)}\n`);
  }
}
