/** Passphrase: where that of a key comes from: a file, stdin, or the person at the terminal. Never from argv. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { z } from "zod";
import type { Context } from "../../command.ts";
import { AmiError } from "../../errors.ts";
import { Secret } from "../../secret.ts";
import { type PrivateKey, readKeyFile } from "../keys.ts";

/** Inputs of commands that make a key. */
export const newPassphrase = {
  passphraseFile: z
    .string()
    .min(1)
    .optional()
    .describe("protect it with the passphrase in this file, or on stdin (-); else it is asked for"),
  withoutPassphrase: z.boolean().default(false).describe("do not protect it: whoever reads the file has the key"),
};

/** Inputs of commands that use a key. */
export const knownPassphrase = {
  passphraseFile: z
    .string()
    .min(1)
    .optional()
    .describe("the passphrase of the key is in this file, or on stdin (-); else it is asked for"),
};

type Asks = Pick<Context, "secret" | "stdio">;

/** Undefined: the key is to be without. */
export async function askNewPassphrase(
  wish: { passphraseFile?: string | undefined; withoutPassphrase: boolean },
  what: string,
  ctx: Asks,
): Promise<Secret | undefined> {
  if (wish.passphraseFile !== undefined) {
    if (wish.withoutPassphrase) {
      throw new AmiError("usage.input", "--passphrase-file and --without-passphrase exclude each other");
    }
    const given = await readPassphrase(wish.passphraseFile, ctx);
    if (given.reveal() !== "") return given;
    throw new AmiError("usage.input", `the passphrase in ${wish.passphraseFile} is empty`, {
      hint: "for a key that is not protected say --without-passphrase",
    });
  }
  if (wish.withoutPassphrase) return undefined;
  if (ctx.secret === undefined || ctx.stdio?.stdin.isTTY !== true) {
    throw new AmiError("usage.input", `nobody can be asked for the passphrase of ${what}`, {
      hint: "give --passphrase-file FILE, or --without-passphrase",
    });
  }
  for (let attempt = 1; attempt <= 3; attempt++) {
    const first = await ctx.secret(`Passphrase for ${what} (empty for none):`);
    const again = first.reveal() === "" ? first : await ctx.secret("The same again:");
    if (first.reveal() === again.reveal()) return first.reveal() === "" ? undefined : first;
  }
  throw new AmiError("run.refused", "the two passphrases were never the same");
}

/** Rejects with `usage.input` for a file that is no private key, or a wrong passphrase. */
export async function openPrivateKey(
  path: string,
  wish: { passphraseFile?: string | undefined },
  ctx: Asks,
): Promise<PrivateKey> {
  const file = await readKeyFile(path);
  if (file.state === "ready") return file;
  if (file.state === "missing") throw new AmiError("usage.input", `${path} does not exist`);
  if (file.state === "unusable") throw new AmiError("usage.input", file.why);
  if (file.state === "public") {
    throw new AmiError("usage.input", `${path} holds a public key, and the private one is needed`);
  }
  if (wish.passphraseFile !== undefined) {
    const key = await file.unlock(await readPassphrase(wish.passphraseFile, ctx));
    if (key !== undefined) return key;
    throw new AmiError("usage.input", `the passphrase in ${wish.passphraseFile} is not that of ${path}`);
  }
  if (ctx.secret === undefined || ctx.stdio?.stdin.isTTY !== true) {
    throw new AmiError("usage.input", `${path} is encrypted, and nobody can be asked for the passphrase`, {
      hint: "give --passphrase-file FILE",
    });
  }
  for (let attempt = 1; attempt <= 3; attempt++) {
    const key = await file.unlock(await ctx.secret(`${attempt === 1 ? "" : "Wrong. "}Passphrase for ${path}:`));
    if (key !== undefined) return key;
  }
  throw new AmiError("run.refused", `the passphrase of ${path} was wrong three times`);
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
