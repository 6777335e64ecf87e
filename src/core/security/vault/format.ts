/**
 * Format: the vault file, version 1. JSON, so that people can see what is in there; names and times are plain, values
 * sealed. The passphrase opens `key`, and that opens the rest, so that the passphrase costs its third of a second once.
 * `sum` covers all entries: one that was taken away, or put back from an older copy, is noticed.
 */
import { z } from "zod";
import { AmiError } from "../../errors.ts";
import type { Secret } from "../../secret.ts";
import { deriveKey, digest, kdfSchema, newKdf, newKey, seal, sealedSchema, unseal } from "./cipher.ts";

const entrySchema = z.strictObject({ ...sealedSchema.shape, changed: z.iso.datetime() });
const fileSchema = z.strictObject({
  "ami-node-vault": z.literal(1),
  kdf: kdfSchema,
  key: sealedSchema,
  sum: z.base64(),
  entries: z.record(z.string().min(1), entrySchema),
});

export type VaultFile = z.output<typeof fileSchema>;
type Entries = VaultFile["entries"];

/** Throws `vault.damaged` for what is no vault, or one of a later version. */
export function readVault(text: string, where: string): VaultFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(where, "it is not JSON", cause);
  }
  const version = z.object({ "ami-node-vault": z.number() }).safeParse(json);
  if (version.success && version.data["ami-node-vault"] > 1) {
    throw new AmiError("vault.damaged", `${where} was written by a later version of ami-node`, {
      hint: "use that version",
    });
  }
  const read = fileSchema.safeParse(json);
  if (read.success) return read.data;
  throw damaged(where, `it is no vault of ours (${read.error.issues[0]?.path.join(".") ?? ""})`, read.error);
}

/** Throws for what could not be read again: it must never take the place of a vault that can. */
export function writeVault(vault: VaultFile): string {
  const text = `${JSON.stringify(vault, null, 2)}\n`;
  const names = (file: VaultFile): string => JSON.stringify(Object.keys(file.entries).toSorted());
  if (names(readVault(text, "the new vault")) === names(vault)) return text;
  throw new Error("an entry of the new vault could not be read again");
}

/** What the passphrase opens. */
export interface Opened {
  value(name: string): Buffer | undefined;
  /** The file with these values changed; undefined takes one away. */
  with(changes: ReadonlyMap<string, Buffer | undefined>, now: Date): VaultFile;
}

/** Undefined: that is not the passphrase. Throws `vault.damaged` when it is, and the rest was altered. */
export async function openVaultFile(vault: VaultFile, passphrase: Secret, where: string): Promise<Opened | undefined> {
  const key = unseal(await deriveKey(passphrase, vault.kdf), vault.key, aboutKey(vault.kdf));
  if (key === undefined) return undefined;
  if (vault.sum !== sumOf(key, vault.entries)) {
    throw damaged(where, "its entries are not those that were stored");
  }
  return {
    value(name) {
      const entry = Object.hasOwn(vault.entries, name) ? vault.entries[name] : undefined;
      if (entry === undefined) return undefined;
      const { nonce, data, tag } = entry;
      const value = unseal(key, { nonce, data, tag }, aboutEntry(name));
      if (value === undefined) throw damaged(where, `the entry ${name} was altered`);
      return value;
    },
    with(changes, now) {
      const kept = Object.entries(vault.entries).filter(([name]) => !changes.has(name));
      const fresh = [...changes].flatMap(([name, value]) =>
        value === undefined ? [] : [[name, sealEntry(key, name, value, now)] as const],
      );
      const entries = Object.fromEntries([...kept, ...fresh].toSorted(([a], [b]) => (a < b ? -1 : 1)));
      return { ...vault, entries, sum: sumOf(key, entries) };
    },
  };
}

/** A vault of these values under a passphrase, with keys nobody has seen before. */
export async function newVaultFile(
  passphrase: Secret,
  values: ReadonlyMap<string, { readonly value: Buffer; readonly changed: Date }>,
): Promise<VaultFile> {
  const kdf = newKdf();
  const key = newKey();
  const entries = Object.fromEntries(
    [...values]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { value, changed }]) => [name, sealEntry(key, name, value, changed)]),
  );
  const wrapped = seal(await deriveKey(passphrase, kdf), key, aboutKey(kdf));
  return { "ami-node-vault": 1, kdf, key: wrapped, sum: sumOf(key, entries), entries };
}

function sealEntry(key: Buffer, name: string, value: Buffer, changed: Date): Entries[string] {
  return { ...seal(key, value, aboutEntry(name)), changed: changed.toISOString() };
}

function aboutKey({ name, N, r, p, salt }: VaultFile["kdf"]): string {
  return JSON.stringify(["ami-node-vault", 1, "key", name, N, r, p, salt]);
}

function aboutEntry(name: string): string {
  return JSON.stringify(["ami-node-vault", 1, "entry", name]);
}

function sumOf(key: Buffer, entries: Entries): string {
  const names = Object.keys(entries).toSorted();
  return digest(
    key,
    names.flatMap((name) => [name, entries[name]?.tag ?? "", entries[name]?.nonce ?? "", entries[name]?.changed ?? ""]),
  );
}

function damaged(where: string, why: string, cause?: unknown): AmiError {
  return new AmiError("vault.damaged", `${where}: ${why}`, { hint: "restore it from a backup", cause });
}
