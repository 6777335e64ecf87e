import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findFaults } from "../../../scripts/binary/check.ts";
import { dynamicEntries, programHeaders, readElf } from "../../../scripts/binary/elf.ts";
import { type Compiled, graft } from "../../../scripts/binary/graft.ts";
import { compile } from "../../../scripts/binary/graft/compile.ts";
import { readMachO, signMachO } from "../../../scripts/binary/macho.ts";
import { dropLibstdcxx, functionsOfLibc } from "../../../scripts/binary/musl.ts";
import { noticesOf } from "../../../scripts/binary/notices.ts";
import { readPe } from "../../../scripts/binary/pe.ts";
import { verifyRuntime } from "../../../scripts/binary/sea.ts";
import { targets } from "../../../scripts/binary/targets.ts";
import { needs } from "../../servers/engines.ts";

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

const folder = join(import.meta.dirname, "../../../scripts/binary/graft");
const sha256 = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");

/**
 * What goes into the executables without a compiler having seen it again: nobody reads base64, so a change of it has to
 * be made here too. After a change of the source: node scripts/binary/graft/compile.ts
 */
const pinned = {
  stack: "3eb8376d29cc7b20461c8308a97d5b160f6a116014d9aafea41ce4211e2679cd",
  stdcxx: "0d4f3a7802ed7020eaf492abe8f13060f46033520b77db044cf9575c9d28fa1b",
};

describe("compiled code", () => {
  it.each(["stack", "stdcxx"] as const)(
    "%s.json is made of the source beside it, and is the one that was examined",
    async (name) => {
      const { sha256: source, ...made } = await compiled(name);
      expect(source).toBe(sha256(await readFile(join(folder, `${name}.c`))));
      expect(sha256(JSON.stringify(made))).toBe(pinned[name]);
    },
  );
});

needs("gcc", "x64")("compiled code", () => {
  it.each(["stack", "stdcxx"] as const)("%s.json is what the compiler makes of its source", async (name) => {
    const [kept, fresh] = [await compiled(name), await compile(join(folder, `${name}.c`))];
    // Another compiler makes other code: of that only what it offers and asks for can be compared.
    if (fresh.compiler === kept.compiler) expect(fresh).toEqual(kept);
    else expect(outside(fresh)).toEqual(outside(kept));
  });
});

needs("musl", "x64")("musl", () => {
  it("has all that graft/musl.txt says it has", async () => {
    const exported = new Set(exportsOf(await readFile("/lib/ld-musl-x86_64.so.1")));
    expect([...(await functionsOfLibc())].filter((name) => !exported.has(name))).toEqual([]);
  });
});

describe("the musl runtime", () => {
  it("is taken when all it asks for is known", async () => {
    const file = await dropLibstdcxx(await muslRuntime());
    expect(readElf(file).needed).toEqual(["libc.musl-x86_64.so.1"]);
  });

  it.each(["__cxa_throw", "__cxa_guard_abort", "_ZSt4cout", "_Unwind_Resume", "arc4random_buf"])(
    "is refused when it asks for %s, which nobody there has",
    async (name) => {
      await expect(dropLibstdcxx(await muslRuntime(name))).rejects.toThrow(`has ${name}`);
    },
  );

  it("may ask for what it can do without", async () => {
    await dropLibstdcxx(await muslRuntime("__cxa_thread_atexit_impl", "weak"));
    await expect(dropLibstdcxx(await muslRuntime("__cxa_thread_atexit_impl"))).rejects.toThrow("__cxa_thread_atexit");
  });
});

function outside({ symbols, holes }: Compiled): unknown {
  return {
    symbols: Object.keys(symbols).toSorted(),
    asked: [...new Set(holes.map(({ symbol }) => symbol))].toSorted(),
  };
}

async function compiled(name: "stack" | "stdcxx"): Promise<Compiled> {
  return JSON.parse(await readFile(join(folder, `${name}.json`), "utf8")) as Compiled;
}

/** The least that has what graft/stdcxx.c needs, and `extra`. */
async function muslRuntime(extra?: string, binding: "weak" | "strong" = "strong"): Promise<Buffer> {
  const { holes } = await compiled("stdcxx");
  const needed = [...new Set(holes.map(({ symbol }) => symbol))].filter((name) => name.startsWith("slot_"));
  const functions = needed.map((name) => name.slice("slot_".length));
  if (extra !== undefined) functions.push(extra);
  const tables = ["_ZTVN10__cxxabiv120__si_class_type_infoE", "_ZTVN10__cxxabiv121__vmi_class_type_infoE"];
  const imports = [
    ...functions.map((name) => ({ name, type: 7, weak: name === extra && binding === "weak" })),
    ...tables.map((name) => ({ name, type: 5, weak: false })),
  ];
  return elf({ needed: ["libstdc++.so.6", "libc.musl-x86_64.so.1"], imports, threads: true });
}

describe("the licences beside the executables", () => {
  it("are those of our own code, of the runtime with how to link it anew, and of each package", async () => {
    const root = join(import.meta.dirname, "../../..");
    const text = await noticesOf(root, "liquidjs 1.2.3 (MIT)\n");
    const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
      packages: Record<string, { version: string }>;
    };
    expect(text).toContain(`Bun ${lock.packages["node_modules/bun"]?.version} (MIT)`);
    const inOrder = [
      "MIT License",
      "JavaScriptCore",
      "Relinking",
      "liquidjs 1.2.3",
      "GNU LIBRARY GENERAL PUBLIC LICENSE",
    ];
    const places = [...inOrder, "GNU LESSER GENERAL PUBLIC LICENSE"].map((words) => text.indexOf(words));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });
});

describe("the Node that an executable is made of", () => {
  it("is the examined one, and no other", async () => {
    const dir = await mkdtemp(join(tmpdir(), "ami-runtime-"));
    try {
      await writeFile(join(dir, "node"), "not Node");
      await expect(verifyRuntime(join(dir, "node"))).rejects.toThrow(/the hash is [0-9a-f]{64}, .*sea\.ts says/);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
    const own = join(import.meta.dirname, "../../../node_modules/node/bin/node");
    if (process.platform === "linux" && process.arch === "x64") await verifyRuntime(own);
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

interface Wanted {
  readonly name: string;
  readonly type: number;
  readonly weak: boolean;
}

/** The least a loader would take: one segment, a loader's name, a dynamic section, a note; and what it imports. */
function elf({
  needed,
  imports = [],
  threads = false,
}: {
  needed: readonly string[];
  imports?: readonly Wanted[];
  threads?: boolean;
}): Buffer {
  const file = Buffer.alloc(16384);
  const base = 0x200000;
  file.write("\x7fELF\x02\x01\x01", 0, "latin1");
  file.writeUInt16LE(62, 18);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  const interpreter = "/lib64/ld-linux-x86-64.so.2";
  file.write(interpreter, 1024, "latin1");
  let strings = 4097;
  const text = (name: string): number => {
    file.write(name, strings, "latin1");
    strings += name.length + 1;
    return strings - name.length - 1 - 4096;
  };
  const [symbols, relocations, slots] = [8192, 10240, 14336];
  imports.forEach(({ name, type, weak }, index) => {
    const symbol = symbols + (index + 1) * 24;
    file.writeUInt32LE(text(name), symbol);
    file.writeUInt8((weak ? 2 : 1) << 4, symbol + 4);
    const at = relocations + index * 24;
    file.writeBigUInt64LE(BigInt(base + slots + index * 16), at);
    file.writeUInt32LE(type, at + 8);
    file.writeUInt32LE(index + 1, at + 12);
  });
  const entries = [
    [5, base + 4096],
    [6, base + symbols],
    [7, base + relocations],
    [8, imports.length * 24],
    [23, base + relocations],
    [2, 0],
    ...needed.map((name) => [1, text(name)] as const),
  ] as const;
  entries.forEach(([tag, value], index) => {
    file.writeBigUInt64LE(BigInt(tag), 3072 + index * 16);
    file.writeBigUInt64LE(BigInt(value), 3080 + index * 16);
  });
  const segments = [
    { type: 1, offset: 0, size: file.length, align: 4096 },
    { type: 3, offset: 1024, size: interpreter.length + 1, align: 1 },
    { type: 2, offset: 3072, size: 16 * (entries.length + 1), align: 8 },
    { type: 4, offset: 0, size: 0, align: 4 },
    ...(threads ? [{ type: 7, offset: 15360, size: 64, align: 16 }] : []),
  ];
  file.writeUInt16LE(segments.length, 56);
  segments.forEach(({ type, offset, size, align }, index) => {
    const at = 64 + index * 56;
    file.writeUInt32LE(type, at);
    file.writeBigUInt64LE(BigInt(offset), at + 8);
    file.writeBigUInt64LE(BigInt(base + offset), at + 16);
    file.writeBigUInt64LE(BigInt(base + offset), at + 24);
    file.writeBigUInt64LE(BigInt(size), at + 32);
    file.writeBigUInt64LE(BigInt(size), at + 40);
    file.writeBigUInt64LE(BigInt(align), at + 48);
  });
  return file;
}

/** The names in a library's own table of symbols that are defined there. */
function exportsOf(file: Buffer): readonly string[] {
  const entries = new Map(dynamicEntries(file, programHeaders(file)));
  // A library starts at address 0, and its tables come first: symbols, then their names.
  const [symbols, strings] = [entries.get(6) ?? 0, entries.get(5) ?? 0];
  return Array.from({ length: Math.floor((strings - symbols) / 24) }, (_, index) => symbols + index * 24)
    .filter((at) => file.readUInt16LE(at + 6) !== 0)
    .map((at) => strings + file.readUInt32LE(at))
    .map((at) => file.toString("latin1", at, file.indexOf(0, at)));
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
