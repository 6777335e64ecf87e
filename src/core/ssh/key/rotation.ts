/**
 * Rotation: a key of this machine and its successor, through a crash at any moment. The journal lies beside the key:
 *
 *     begun      nothing but the journal
 *     introduce  FILE is the old key, FILE.new the new one; targets take the new one besides the old one
 *     retire     every target has let the new one in; FILE is the new key, `kept` the old one; targets drop the old one
 */
import { access, readFile, rename, rm } from "node:fs/promises";
import { z } from "zod";
import { AmiError } from "../../errors.ts";
import { readPublicLine } from "../keys.ts";
import { replaceFile } from "./replace.ts";

const journal = z.strictObject({
  version: z.literal(1),
  phase: z.enum(["begun", "introduce", "retire"]),
  /** Lines of public keys. */
  old: z.string(),
  new: z.string(),
  /** Where the old private key goes. */
  kept: z.string(),
  /** `absent`: the old key was not there, so there is nothing to do. */
  hosts: z.record(z.string(), z.enum(["waiting", "introduced", "retired", "absent"])),
});

export type Journal = z.output<typeof journal>;

export function journalPath(file: string): string {
  return `${file}.rotation`;
}

/** undefined: no rotation is under way. Rejects with `config.invalid` for a journal that cannot be read. */
export async function readJournal(file: string): Promise<Journal | undefined> {
  const path = journalPath(file);
  try {
    return journal.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new AmiError("config.invalid", `${path}, the journal of a rotation, cannot be read`, {
      hint: `look at ${file}, ${file}.new and that file; nothing was contacted`,
      cause,
    });
  }
}

export async function writeJournal(file: string, state: Journal): Promise<void> {
  await replaceFile(journalPath(file), `${JSON.stringify(state, undefined, 2)}\n`, 0o600);
}

/** Changes come from many targets at once; each is on disk before the next. */
export function keepJournal(file: string, begun: Journal) {
  let state = begun;
  let last: Promise<void> = Promise.resolve();
  return {
    now: () => state,
    change(next: (state: Journal) => Journal): Promise<void> {
      const changed = next(state);
      state = changed;
      last = last.then(() => writeJournal(file, changed));
      return last;
    },
  };
}

export async function endRotation(file: string): Promise<void> {
  await rm(journalPath(file), { force: true });
}

/** A name for the old key that nothing has yet. */
export async function nameForOld(file: string, today: Date = new Date()): Promise<string> {
  const stem = `${file}.replaced-${today.toISOString().slice(0, 10)}`;
  for (let n = 1; ; n++) {
    const name = n === 1 ? stem : `${stem}-${n}`;
    if (!(await exists(name))) return name;
  }
}

/** The new key takes the place of the old one, which is kept. At no moment there is none. May be done again. */
export async function takePlace(file: string, { kept, new: line }: Journal): Promise<void> {
  const fresh = `${file}.new`;
  if (await exists(fresh)) {
    await replaceFile(kept, await readFile(file), 0o600);
    await rename(fresh, file);
  }
  const isNew = readPublicLine(await readFile(`${file}.pub`, "latin1").catch(() => ""))?.blob.equals(blobOf(line));
  if (isNew !== true) {
    await rename(`${file}.pub`, `${kept}.pub`).catch(unlessMissing);
    // A certificate speaks for the old key only.
    await rename(`${file}-cert.pub`, `${kept}-cert.pub`).catch(unlessMissing);
    await replaceFile(`${file}.pub`, `${line}\n`, 0o644);
  }
  await rm(`${fresh}.pub`, { force: true });
}

export function blobOf(line: string): Buffer {
  const key = readPublicLine(line);
  if (key === undefined) throw new Error(`no public key: ${line}`);
  return key.blob;
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
}

export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
