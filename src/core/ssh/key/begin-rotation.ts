/** Begin rotation: the new key and its journal, made now or found where an earlier run left them. */
import { rm } from "node:fs/promises";
import type { Context } from "../../command.ts";
import { AmiError } from "../../errors.ts";
import type { Target } from "../../targets.ts";
import { type PrivateKey, readKeyFile } from "../keys.ts";
import { type KeyType, generateKey } from "./generate.ts";
import { type NewPassphrase, askNewPassphrase, openPrivateKey } from "./passphrase.ts";
import { readPublicKey } from "./public-line.ts";
import {
  type Journal,
  blobOf,
  exists,
  journalPath,
  nameForOld,
  readJournal,
  takePlace,
  writeJournal,
} from "./rotation.ts";

export interface RotationWish extends NewPassphrase {
  /** The private key to be replaced; absolute. */
  readonly file: string;
  readonly type?: KeyType | undefined;
  readonly bits?: number | undefined;
  readonly comment?: string | undefined;
  /** Targets of an earlier run that are given up: they keep the old key. */
  readonly forget: readonly string[];
  /** Called before anything is made. */
  confirm(): Promise<void>;
}

export interface Begun {
  readonly journal: Journal;
  readonly key: PrivateKey;
  readonly isResumed: boolean;
}

/** Rejects with `usage.*` when targets of the run under way are missing, or `run.refused`. */
export async function beginRotation(
  wish: RotationWish,
  targets: readonly Target[],
  ctx: Pick<Context, "secret" | "stdio" | "vault">,
): Promise<Begun> {
  const { file } = wish;
  const found = await readJournal(file);
  if (found !== undefined && found.phase !== "begun") {
    const journal = joined(found, wish, targets);
    await writeJournal(file, journal);
    if (journal.phase === "retire") await takePlace(file, journal);
    const path = journal.phase === "retire" ? file : `${file}.new`;
    const key = await openPrivateKey(path, wish, ctx);
    if (key.blob.equals(blobOf(journal.new))) return { journal, key, isResumed: true };
    throw new AmiError("config.invalid", `${path} is not the key that the rotation under way has introduced`, {
      hint: `find that one (its public half is in ${journalPath(file)}); nothing was contacted`,
    });
  }
  const { state } = await readKeyFile(file);
  if (state === "missing") throw new AmiError("usage.input", `${file} does not exist`);
  if (state === "public") throw new AmiError("usage.input", `${file} is a public key: name the private one`);
  const old = await readPublicKey(file);
  // One that a run left behind before it was put anywhere is made again.
  if (found !== undefined)
    await Promise.all([`${file}.new`, `${file}.new.pub`].map((path) => rm(path, { force: true })));
  if (await exists(`${file}.new`)) {
    throw new AmiError("usage.input", `${file}.new is there, and no rotation knows of it`, { hint: "move it away" });
  }
  await wish.confirm();
  const passphrase = await askNewPassphrase(wish, `the new key of ${file}`, ctx);
  const hosts = Object.fromEntries(targets.map((target) => [target.name, "waiting" as const]));
  const journal: Journal = {
    version: 1,
    phase: "begun",
    old: `${old.type} ${old.blob.toString("base64")}`,
    new: "",
    kept: await nameForOld(file),
    hosts,
  };
  await writeJournal(file, journal);
  const made = await generateKey(`${file}.new`, {
    type: wish.type ?? typeOf(old.type),
    bits: wish.bits,
    comment: wish.comment ?? old.comment,
    passphrase,
  });
  const introduced: Journal = { ...journal, phase: "introduce", new: made.line };
  await writeJournal(file, introduced);
  return { journal: introduced, key: made.private, isResumed: false };
}

/** Every target of the earlier run has to be there again; further ones may join until the old key is being removed. */
function joined(journal: Journal, { file, forget }: RotationWish, targets: readonly Target[]): Journal {
  const names = new Set(targets.map((target) => target.name));
  const hosts = Object.fromEntries(Object.entries(journal.hosts).filter(([name]) => !forget.includes(name)));
  const isOver = (state: string): boolean => state === "retired" || state === "absent";
  const missing = Object.entries(hosts).flatMap(([name, state]) => (isOver(state) || names.has(name) ? [] : [name]));
  if (missing.length > 0) {
    throw new AmiError("usage.target", `a rotation of ${file} is under way that is not over on ${missing.join(", ")}`, {
      hint: `name all of its targets again, or give some up with --forget NAME (they keep the old key); its journal is ${journalPath(file)}`,
    });
  }
  const added = [...names].filter((name) => hosts[name] === undefined);
  if (journal.phase === "retire" && added.length > 0) {
    throw new AmiError(
      "usage.target",
      `the rotation under way is at its last step, so ${added.join(", ")} cannot join`,
      {
        hint: "finish it on its own targets first",
      },
    );
  }
  return { ...journal, hosts: { ...hosts, ...Object.fromEntries(added.map((name) => [name, "waiting"] as const)) } };
}

function typeOf(type: string): KeyType {
  return type === "ssh-rsa" ? "rsa" : type.startsWith("ecdsa-") ? "ecdsa" : "ed25519";
}
