/** Passphrase: where that of a key comes from: the vault, a file, stdin, or the person at the terminal. Never from argv. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { z } from "zod";
import type { Context } from "../../command.ts";
import { AmiError } from "../../errors.ts";
import { keptPassphrase } from "../../kept-passphrase.ts";
import { Secret } from "../../secret.ts";
import { parseSource, readSource } from "../../source.ts";
import { type KeyFile, type PrivateKey, readKeyFile } from "../keys.ts";

const passphrase = z
  .string()
  .min(1)
  .optional()
  .describe("where the passphrase of the key lies: vault:NAME, env:NAME or file:PATH");

/** Inputs of commands that make a key. */
export const newPassphrase = {
  passphrase,
  passphraseFile: z
    .string()
    .min(1)
    .optional()
    .describe("protect it with the passphrase in this file, or on stdin (-); else it is asked for"),
  withoutPassphrase: z.boolean().default(false).describe("do not protect it: whoever reads the file has the key"),
};

/** Inputs of commands that use a key. */
export const knownPassphrase = {
  passphrase,
  passphraseFile: z
    .string()
    .min(1)
    .optional()
    .describe("the passphrase of the key is in this file, or on stdin (-); else it is asked for"),
};

/** Placeholders of both. */
export const passphraseValues = { passphrase: "SOURCE", passphraseFile: "FILE" };

interface Told {
  readonly passphrase?: string | undefined;
  readonly passphraseFile?: string | undefined;
}

export interface NewPassphrase extends Told {
  readonly withoutPassphrase: boolean;
}

type Asks = Pick<Context, "secret" | "stdio" | "vault">;

/** Undefined: the key is to be without. */
export async function askNewPassphrase(wish: NewPassphrase, what: string, ctx: Asks): Promise<Secret | undefined> {
  const given = await toldPassphrase(wish, ctx);
  if (given !== undefined) {
    if (wish.withoutPassphrase) throw new AmiError("usage.input", "a passphrase is given, and the key is to have none");
    if (given.reveal() !== "") return given;
    throw new AmiError("usage.input", `the passphrase in ${placeOf(wish)} is empty`, {
      hint: "for a key that is not protected say --without-passphrase",
    });
  }
  if (wish.withoutPassphrase) return undefined;
  if (ctx.secret === undefined || ctx.stdio?.stdin.isTTY !== true) {
    throw new AmiError("usage.input", `nobody can be asked for the passphrase of ${what}`, {
      hint: "give --passphrase vault:NAME, --passphrase-file FILE, or --without-passphrase",
    });
  }
  for (let attempt = 1; attempt <= 3; attempt++) {
    const first = await ctx.secret(`Passphrase for ${what} (empty for none):`);
    const again = first.reveal() === "" ? first : await ctx.secret("The same again:");
    if (first.reveal() === again.reveal()) return first.reveal() === "" ? undefined : first;
  }
  throw new AmiError("run.refused", "the two passphrases were never the same");
}

/**
 * Where nothing is told, what the vault keeps for the file comes before a question. Rejects with `usage.input` for a
 * file that is no private key, or a wrong passphrase.
 */
export async function openPrivateKey(path: string, wish: Told, ctx: Asks): Promise<PrivateKey> {
  const file = await readKeyFile(path);
  if (file.state === "ready") return file;
  if (file.state === "missing") throw new AmiError("usage.input", `${path} does not exist`);
  if (file.state === "unusable") throw new AmiError("usage.input", file.why);
  if (file.state === "public") {
    throw new AmiError("usage.input", `${path} holds a public key, and the private one is needed`);
  }
  const told = await toldPassphrase(wish, ctx);
  if (told !== undefined) {
    const key = await file.unlock(told);
    if (key !== undefined) return key;
    throw new AmiError("usage.input", `the passphrase in ${placeOf(wish)} is not that of ${path}`);
  }
  return (await openWithKept(file, ctx)) ?? openByAsking(file, ctx);
}

type LockedFile = KeyFile & { state: "locked" };

async function openWithKept(file: LockedFile, { vault }: Asks): Promise<PrivateKey | undefined> {
  const kept = vault && (await keptPassphrase(await vault(), file.path));
  return kept && file.unlock(kept);
}

async function openByAsking({ path, unlock }: LockedFile, ctx: Asks): Promise<PrivateKey> {
  if (ctx.secret === undefined || ctx.stdio?.stdin.isTTY !== true) {
    throw new AmiError("usage.input", `${path} is encrypted, and nobody can be asked for the passphrase`, {
      hint: `give --passphrase-file FILE, or keep it: ami-node vault set key:${path}`,
    });
  }
  for (let attempt = 1; attempt <= 3; attempt++) {
    const key = await unlock(await ctx.secret(`${attempt === 1 ? "" : "Wrong. "}Passphrase for ${path}:`));
    if (key !== undefined) return key;
  }
  throw new AmiError("run.refused", `the passphrase of ${path} was wrong three times`);
}

/** Undefined: the command line says nothing about it. */
async function toldPassphrase(wish: Told, ctx: Asks): Promise<Secret | undefined> {
  if (wish.passphrase === undefined) {
    return wish.passphraseFile === undefined ? undefined : readPassphrase(wish.passphraseFile, ctx);
  }
  if (wish.passphraseFile !== undefined) {
    throw new AmiError("usage.input", "--passphrase and --passphrase-file exclude each other");
  }
  const noVault = (): Promise<never> => Promise.reject(new AmiError("host.unsupported", "there is no vault here"));
  return readSource(parseSource(wish.passphrase, "--passphrase"), {
    env: process.env,
    vault: () => ctx.vault?.() ?? noVault(),
  });
}

function placeOf({ passphrase: source, passphraseFile }: Told): string {
  return source ?? passphraseFile ?? "stdin";
}

/** The first line. */
async function readPassphrase(file: string, { stdio }: Asks): Promise<Secret> {
  try {
    const all = file === "-" ? await text(stdinOf(stdio)) : await readFile(file, "utf8");
    return new Secret(all.split(/\r?\n/, 1)[0] ?? "");
  } catch (error) {
    if (error instanceof AmiError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new AmiError("usage.input", `the passphrase cannot be read: ${why}`, { cause: error });
  }
}

function stdinOf(stdio: Asks["stdio"]): NodeJS.ReadStream {
  if (stdio !== undefined) return stdio.stdin;
  throw new AmiError("usage.input", "there is no stdin to read a passphrase from here");
}
