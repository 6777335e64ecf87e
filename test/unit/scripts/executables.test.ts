import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findFaults } from "../../../scripts/binary/check.ts";
import { readElf } from "../../../scripts/binary/elf.ts";
import { type Compiled, graft } from "../../../scripts/binary/graft.ts";
import { readMachO, signMachO } from "../../../scripts/binary/macho.ts";
import { readPe } from "../../../scripts/binary/pe.ts";
import { targets } from "../../../scripts/binary/targets.ts";

describe("an ELF executable", () => {
  it("says its machine, its loader and what it needs", () => {
    expect(readElf(elf({ needed: ["libc.so.6", "libm.so.6"] }))).toEqual({
      machine: "x64",
      interpreter: "/lib64/ld-linux-x86-64.so.2",
      needed: ["libc.so.6", "libm.so.6"],
    });
  });

  it("is refused when it is something else", () => {
    expect(() => readElf(machO())).toThrow(/ELF/);
  });

  it("has a fault for each library a bare system lacks", () => {
    const expected = targets.find(({ name }) => name === "linux-x64")?.expect;
    if (expected === undefined) throw new Error("no such target");
    expect(findFaults(elf({ needed: ["libc.so.6"] }), expected)).toEqual([]);
    expect(findFaults(elf({ needed: ["libc.so.6", "libstdc++.so.6"] }), expected)).toEqual([
      "needs libstdc++.so.6, which a bare system lacks",
    ]);
  });

  it("takes code of ours into a segment of its own, with every address filled in", async () => {
    const addresses = new Map(
      ["slot_pthread_getattr_np", "slot_pthread_attr_init", "slot_getrlimit"].map((name, index) => [
        name,
        0x400000 + index,
      ]),
    );
    const { file, symbols } = await graft(elf({ needed: ["libc.so.6"] }), "stack", addresses);
    const at = symbols.get("getattr_anywhere") ?? 0;
    expect(at % 4096).toBe(0);
    expect(readElf(file).needed).toEqual(["libc.so.6"]);
    await expect(graft(elf({ needed: [] }), "stack", new Map())).rejects.toThrow(/does not import/);
  });
});

describe("compiled code", () => {
  it.each(["stack", "stdcxx"])("%s.json is made of the %s.c beside it", async (name) => {
    const folder = join(import.meta.dirname, "../../../scripts/binary/graft");
    const compiled = JSON.parse(await readFile(join(folder, `${name}.json`), "utf8")) as Compiled;
    const source = await readFile(join(folder, `${name}.c`));
    // When this fails: node scripts/binary/graft/compile.ts
    expect(compiled.sha256).toBe(createHash("sha256").update(source).digest("hex"));
  });
});

describe("a Mach-O executable", () => {
  it("is signed so that every page fits, and a changed byte shows", () => {
    const signed = signMachO(machO(), "ami-node");
    expect(readMachO(signed)).toEqual({
      machine: "x64",
      signature: { adHoc: true, identifier: "ami-node", pages: 3, badPages: 0 },
    });
    signed.writeUInt8(1, 5000);
    expect(readMachO(signed).signature?.badPages).toBe(1);
    expect(findFaults(signed, { format: "macho", machine: "x64" })).toEqual([
      "1 of 3 pages differ from what was signed",
    ]);
  });

  it("that was never signed has a fault, and no room for a signature", () => {
    const bare = machO();
    bare.writeUInt32LE(2, 16);
    expect(findFaults(bare, { format: "macho", machine: "arm64" })).toEqual([
      "machine is x64, not arm64",
      "not signed",
    ]);
    expect(() => signMachO(bare, "x")).toThrow(/room/);
  });
});

describe("a PE executable", () => {
  it("says its machine, its subsystem and whether a signature can be valid", () => {
    expect(readPe(pe({ signature: [0, 0] }))).toEqual({ machine: "x64", subsystem: "console", signature: "none" });
    expect(readPe(pe({ signature: [1024, 512] })).signature).toBe("present");
    expect(readPe(pe({ signature: [512, 512] })).signature).toBe("dangling");
  });

  it("is refused when it is something else", () => {
    expect(() => readPe(Buffer.from("#!/bin/sh\n"))).toThrow(/MZ/);
  });
});

/** The least a loader would take: one segment, a loader's name, a dynamic section, a note. */
function elf({ needed }: { needed: readonly string[] }): Buffer {
  const file = Buffer.alloc(4096);
  const base = 0x200000;
  file.write("\x7fELF\x02\x01\x01", 0, "latin1");
  file.writeUInt16LE(62, 18);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  const interpreter = "/lib64/ld-linux-x86-64.so.2";
  file.write(interpreter, 1024, "latin1");
  let strings = 2049;
  const entries = needed.map((name) => {
    file.write(name, strings, "latin1");
    const at = strings - 2048;
    strings += name.length + 1;
    return [1n, BigInt(at)] as const;
  });
  [[5n, BigInt(base + 2048)] as const, ...entries].forEach(([tag, value], index) => {
    file.writeBigUInt64LE(tag, 3072 + index * 16);
    file.writeBigUInt64LE(value, 3080 + index * 16);
  });
  const segments = [
    { type: 1, offset: 0, size: 4096 },
    { type: 3, offset: 1024, size: interpreter.length + 1 },
    { type: 2, offset: 3072, size: 16 * (entries.length + 2) },
    { type: 4, offset: 0, size: 0 },
  ];
  file.writeUInt16LE(segments.length, 56);
  segments.forEach(({ type, offset, size }, index) => {
    const at = 64 + index * 56;
    file.writeUInt32LE(type, at);
    file.writeBigUInt64LE(BigInt(offset), at + 8);
    file.writeBigUInt64LE(BigInt(base + offset), at + 16);
    file.writeBigUInt64LE(BigInt(size), at + 32);
    file.writeBigUInt64LE(BigInt(size), at + 40);
  });
  return file;
}

/** __TEXT, __LINKEDIT and a place for a signature after 3 pages, the last of them not full. */
function machO(): Buffer {
  const file = Buffer.alloc(9000);
  file.writeUInt32LE(0xfeedfacf, 0);
  file.writeUInt32LE(0x01000007, 4);
  file.writeUInt32LE(2, 12);
  file.writeUInt32LE(3, 16);
  const segment = (at: number, name: string, offset: number, size: number): void => {
    file.writeUInt32LE(0x19, at);
    file.writeUInt32LE(72, at + 4);
    file.write(name, at + 8, "latin1");
    file.writeBigUInt64LE(BigInt(offset), at + 40);
    file.writeBigUInt64LE(BigInt(size), at + 48);
  };
  segment(32, "__TEXT", 0, 4096);
  segment(104, "__LINKEDIT", 8192, 808);
  file.writeUInt32LE(0x1d, 176);
  file.writeUInt32LE(16, 180);
  file.writeUInt32LE(9000, 184);
  return file;
}

function pe({ signature }: { signature: readonly [start: number, size: number] }): Buffer {
  const file = Buffer.alloc(1536);
  file.write("MZ", 0, "latin1");
  file.writeUInt32LE(128, 0x3c);
  file.write("PE\0\0", 128, "latin1");
  file.writeUInt16LE(0x8664, 132);
  file.writeUInt16LE(0x20b, 152);
  file.writeUInt16LE(3, 152 + 68);
  file.writeUInt32LE(signature[0], 152 + 144);
  file.writeUInt32LE(signature[1], 152 + 148);
  return file;
}
