/** The audit log on real files: every alteration is found, and nothing that a crash leaves is taken for one. */
import {
  appendFileSync,
  chmodSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { type AuditFiles, auditFiles } from "../../../../src/core/security/audit/files.ts";
import { beginning, readLine, sealLine } from "../../../../src/core/security/audit/line.ts";
import { openAuditLog } from "../../../../src/core/security/audit/log.ts";
import { keptParams } from "../../../../src/core/security/audit/params.ts";
import { verifyAudit } from "../../../../src/core/security/audit/verify.ts";

let dir: string;
let files: AuditFiles;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-audit-"));
  files = auditFiles(join(dir, "audit"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const speaker = { run: "r1", user: "alice", verb: "ssh execute" };
const ran = (n: number) =>
  ({ kind: "command", host: `web${n}`, login: "root", argv: ["echo", `ü ${n}`], exit: 0, ms: 5 }) as const;

async function write(count: number, limit?: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const log = openAuditLog(files, speaker, limit);
    await log.append(ran(i));
    await log.close();
  }
}
const lines = (): string[] => readFileSync(files.current, "utf8").split("\n").slice(0, -1);
const put = (all: readonly string[]): void => writeFileSync(files.current, all.map((line) => `${line}\n`).join(""));
const problems = async (): Promise<string[]> =>
  (await verifyAudit(files)).problems.map(({ line, what }) => `${line}: ${what}`);

describe("a log that nobody touched", () => {
  it("is intact, private, and leaves no lock", async () => {
    await write(5);
    expect(await verifyAudit(files)).toMatchObject({ lines: 5, last: { seq: 5 }, problems: [], notes: [] });
    expect(readdirSync(files.folder).sort()).toEqual(["audit.head", "audit.jsonl"]);
    expect(statSync(files.folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(files.folder)) expect(statSync(join(files.folder, name)).mode & 0o777).toBe(0o600);
  });

  it("is intact before its first line, too", async () => {
    expect(await verifyAudit(files)).toMatchObject({ lines: 0, last: beginning, problems: [], notes: [] });
  });

  it("goes on in another file when one is full", async () => {
    await write(40, 2000);
    const names = readdirSync(files.folder);
    expect(names.length).toBeGreaterThan(4);
    expect(await verifyAudit(files)).toMatchObject({ lines: 40, last: { seq: 40 }, problems: [], notes: [] });
    const [oldest = ""] = names.filter((name) => /^audit-\d/.test(name)).sort();
    rmSync(join(files.folder, oldest));
    expect((await problems())[0]).toMatch(/lines are missing before line \d+$/);
  });

  it("takes lines of several writers at once, in one chain", async () => {
    const logs = Array.from({ length: 8 }, () => openAuditLog(files, speaker));
    await Promise.all(logs.map((log) => Promise.all([0, 1, 2, 3, 4].map((n) => log.append(ran(n), ran(n))))));
    await Promise.all(logs.map((log) => log.close()));
    expect(await verifyAudit(files)).toMatchObject({ lines: 80, problems: [] });
  });

  it("does not wait for a writer that is gone", async () => {
    await write(1);
    symlinkSync(`999999999 ${hostname()} long ago`, files.lock);
    await write(1);
    expect(await verifyAudit(files)).toMatchObject({ lines: 2, problems: [] });
  });
});

describe("where somebody else may write", () => {
  it.skipIf(process.platform === "win32")("no link of theirs is followed", async () => {
    await write(1);
    const other = join(dir, "other");
    for (const file of [files.current, files.head]) {
      const kept = readFileSync(file);
      writeFileSync(other, kept);
      rmSync(file);
      symlinkSync(other, file);
      await expect(write(1), file).rejects.toThrow("is a link");
      expect(readFileSync(other), file).toEqual(kept);
      rmSync(file);
      writeFileSync(file, kept);
    }
  });

  it.skipIf(process.platform === "win32")("nothing is written", async () => {
    await write(1);
    for (const mode of [0o770, 0o702]) {
      chmodSync(files.folder, mode);
      await expect(write(1)).rejects.toThrow("others may write in");
    }
    chmodSync(files.folder, 0o755);
    await write(1);
  });
});

describe("what was altered is found", () => {
  beforeEach(() => write(6));

  it("in every line, every member", async () => {
    const whole = lines();
    for (const [i, line] of whole.entries()) {
      const changes = [
        line.replace('"exit":0', '"exit":1'),
        line.replace(/"at":"[^"]*"/, '"at":"2020-01-01T00:00:00.000Z"'),
        line.replace("alice", "bob"),
        line.replace(`web${i}`, "web9"),
        line.replace('"ms":5', '"ms": 5'),
        line.replace('"login":"root"', '"login":"root","x":1'),
        line.replace("{", '{"user":"mallory",'),
        line.slice(0, -1),
        "",
      ];
      for (const changed of changes) {
        expect(changed).not.toBe(line);
        put(whole.with(i, changed));
        expect(await problems(), changed).not.toEqual([]);
      }
    }
    put(whole);
    expect(await problems()).toEqual([]);
  });

  it("where a line was sealed anew, but not those after it", async () => {
    const whole = lines();
    const { text } = sealLine(beginning, new Date(), speaker, ran(9));
    put(whole.with(0, text));
    expect(await problems()).toEqual(["2: line 2 does not follow from the line before it"]);
  });

  it("where lines were taken out, doubled, swapped or slipped in", async () => {
    const whole = lines();
    for (let i = 0; i < whole.length; i++) {
      put(whole.toSpliced(i, 1));
      expect(await problems(), `without ${i}`).not.toEqual([]);
      put(whole.toSpliced(i, 0, whole[i] ?? ""));
      expect(await problems(), `twice ${i}`).not.toEqual([]);
      put(whole.toSpliced(i, 0, "{}"));
      expect(await problems(), `something before ${i}`).not.toEqual([]);
      for (let j = i + 1; j < whole.length; j++) {
        put(whole.with(i, whole[j] ?? "").with(j, whole[i] ?? ""));
        expect(await problems(), `${i} and ${j}`).not.toEqual([]);
      }
    }
  });

  it("where the tail was cut off, at any byte, even after writing went on", async () => {
    const text = readFileSync(files.current);
    const head = readFileSync(files.head);
    for (const length of [0, 1, 100, text.length - 300, text.length - 1]) {
      writeFileSync(files.current, text.subarray(0, length));
      writeFileSync(files.head, head);
      expect(await problems(), `${length}`).not.toEqual([]);
      await write(1);
      expect(await problems(), `${length}, then written to`).not.toEqual([]);
    }
    rmSync(files.current);
    writeFileSync(files.head, head);
    expect(await problems()).toEqual(["0: 6 lines are cut off at the end: the last was 6"]);
    await write(1);
    expect(await problems()).not.toEqual([]);
  });

  it("where the head was taken away, or is another", async () => {
    writeFileSync(files.head, "nonsense");
    expect(await problems()).not.toEqual([]);
    rmSync(files.head);
    expect(await problems()).not.toEqual([]);
    await write(1);
    expect(await problems()).toEqual([expect.stringContaining("the head was missing")]);
  });

  it("where the last lines were sealed anew and went on, before the next line and after it", async () => {
    const whole = lines();
    const before = { seq: 5, hash: readLine(whole[4] ?? "")?.hash ?? "" };
    const forged = sealLine(before, new Date(), speaker, ran(9));
    const more = sealLine(forged.link, new Date(), speaker, ran(10));
    put([...whole.slice(0, 5), forged.text, more.text]);
    expect(await problems()).toEqual(["0: line 6 is another than the one that was written"]);
    await write(1);
    expect(await problems()).toEqual([expect.stringContaining("line 6 was another than the one that was written")]);
  });

  it("where bytes are others that read the same", async () => {
    const log = openAuditLog(files, speaker);
    await log.append({ ...ran(1), argv: ["\ufffd"] });
    await log.close();
    expect(await problems()).toEqual([]);
    const bytes = readFileSync(files.current);
    const at = bytes.indexOf("\ufffd");
    writeFileSync(files.current, Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), bytes.subarray(at + 3)]));
    expect(await problems()).not.toEqual([]);
  });

  it("where all of it was written anew, by who noted the head", async () => {
    const { last } = await verifyAudit(files);
    await rm(files.folder, { recursive: true });
    await write(9);
    expect(await problems()).toEqual([]);
    expect((await verifyAudit(files, [last])).problems).toHaveLength(1);
    expect((await verifyAudit(files, [{ ...last, seq: 40 }])).problems).toHaveLength(1);
  });
});

describe("what a crash leaves is told from that", () => {
  it("half a line is owned up to, and the chain goes on", async () => {
    await write(3);
    const { text } = sealLine({ seq: 3, hash: "0".repeat(64) }, new Date(), speaker, ran(4));
    for (const half of [text.slice(0, 40), Buffer.from("漢").subarray(0, 1)]) {
      appendFileSync(files.current, half);
      expect(await verifyAudit(files)).toMatchObject({ problems: [], notes: [{}] });
      await write(1);
      expect((await verifyAudit(files)).problems).toEqual([]);
      rmSync(files.folder, { recursive: true });
      await write(3);
    }
    appendFileSync(files.current, text.slice(0, 40));
    await write(2);
    expect(await verifyAudit(files)).toMatchObject({ lines: 6, problems: [], notes: [{ line: 4 }] });
    // What was half a line then is evidence now.
    const whole = lines();
    put(whole.with(3, "gone"));
    expect(await problems()).not.toEqual([]);
    put(whole.toSpliced(3, 1));
    expect(await problems()).not.toEqual([]);
  });

  it("a writer ended between the line and the head leaves a head that is behind", async () => {
    await write(3);
    const head = readFileSync(files.head);
    await write(1);
    writeFileSync(files.head, head);
    expect(await verifyAudit(files)).toMatchObject({ problems: [], notes: [{}] });
    await write(1);
    expect(await verifyAudit(files)).toMatchObject({ lines: 5, problems: [], notes: [] });
  });

  it("an empty file that was made, and nothing else", async () => {
    await write(1);
    rmSync(files.head);
    truncateSync(files.current);
    expect(await problems()).toEqual([]);
  });
});

it("params are kept without what is secret, and not without end", () => {
  const schema = z.strictObject({
    token: z.string().meta({ secret: true }).describe("a token"),
    old: z.string().optional().meta({ secret: true }),
    env: z.record(z.string(), z.string()),
    line: z.string(),
    list: z.array(z.string()),
    var: z.array(z.string()).default([]).meta({ secret: true }),
    absent: z.string().optional(),
  });
  const kept = keptParams(schema, {
    token: "hunter2",
    old: "hunter1",
    env: { PW: "hunter2" },
    line: "x".repeat(3000),
    list: [...Array.from({ length: 299 }, String), "https://me:hunter3@host/x?a:b@c"].toReversed(),
    var: ["pw=hunter4", "list:=[1]", "hunter5"],
    absent: undefined,
  });
  expect(JSON.stringify(kept)).not.toContain("hunter");
  expect(kept).toMatchObject({ env: { PW: "••••••" }, line: `${"x".repeat(2000)}… (1000 more)` });
  expect(kept["list"]).toHaveLength(201);
  expect(kept["list"]).toContain("https://me:••••••@host/x?a:b@c");
  expect(kept["var"]).toEqual(["pw=••••••", "list:=••••••", "••••••"]);
  expect(Object.keys(kept)).not.toContain("absent");
});
