/** The functions grafted into the musl executable, under real C++ programs. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { flags } from "../../scripts/binary/graft/compile.ts";
import { needs } from "../servers/engines.ts";

const run = promisify(execFile);
const graft = join(import.meta.dirname, "../../scripts/binary/graft");

needs(
  "gcc",
  "g++",
  "x64",
)("grafted code", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "ami-stdcxx-"));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it("serves trees, tables, threads and casts of a C++ program as libstdc++ does", async () => {
    const at = (name: string): string => join(dir, name);
    await run("gcc", [...flags, "-c", join(graft, "stdcxx.c"), "-o", at("stdcxx.o")]);
    const functions = ["abort", "write", "clock_gettime"].concat(
      ["init", "destroy", "wait", "signal", "broadcast"].map((verb) => `pthread_cond_${verb}`),
    );
    const slots = functions.map((name) => `void *const slot_${name} = (void *)${name};`).join("\n");
    await writeFile(
      at("slots.c"),
      `#include <pthread.h>\n#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\n${slots}\n`,
    );
    await run("gcc", ["-c", at("slots.c"), "-o", at("slots.o")]);
    const tables = { si: "_ZTVN10__cxxabiv120__si_class_type_infoE", vmi: "_ZTVN10__cxxabiv121__vmi_class_type_infoE" };
    const renames = Object.entries(tables).map(
      ([kind, name]) => `--redefine-sym=table_${kind}_class_type_info=${name}`,
    );
    await run("objcopy", [...renames, at("stdcxx.o")]);
    // Where call_once keeps its call is only known in the executable: the end-to-end tests of that run through it.
    const options = ["-w", "-O1", "-no-pie", "-DONCE=0", "-Wl,--defsym=thread_once_call=0"];
    const inputs = [join(import.meta.dirname, "../fixtures/stdcxx.cc"), at("stdcxx.o"), at("slots.o")];
    await run("g++", [...options, ...inputs, "-o", at("with"), "-lpthread"]);
    expect((await run(at("with"))).stdout).toBe("ok\n");
    // The same without ours, so that the program itself is known to be right.
    const alone = ["-w", "-O1", "-no-pie", "-DONCE=1", inputs[0] ?? "", "-o", at("without"), "-lpthread"];
    await run("g++", alone);
    expect((await run(at("without"))).stdout).toBe("ok\n");
    expect((await run("nm", ["--defined-only", at("with")])).stdout).toContain("_ZSt11_Hash_bytesPKvmm");
  }, 120_000);
});
