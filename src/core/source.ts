/** Source: where a secret is to be taken from instead of being typed: `vault:NAME`, `env:NAME`, `file:PATH`. */
import { readFile } from "node:fs/promises";
import { AmiError } from "./errors.ts";
import { Secret } from "./secret.ts";
import { whyUnreadable } from "./unreadable.ts";
import type { Vault } from "./vault.ts";

export interface SecretSource {
  readonly from: "vault" | "env" | "file";
  readonly name: string;
}

/** Throws `usage.input`; `flag` is named in the message, the text is not: people put the secret itself there. */
export function parseSource(text: string, flag: string): SecretSource {
  const [, from, name] = /^(vault|env|file):(.+)$/s.exec(text) ?? [];
  if ((from === "vault" || from === "env" || from === "file") && name !== undefined) return { from, name };
  throw new AmiError("usage.input", `${flag}: that names no place a secret could be in`, {
    hint: "write vault:NAME, env:NAME or file:PATH",
  });
}

export interface SourcePlaces {
  vault(): Promise<Vault>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Rejects with `vault.absent` (no such entry) or `usage.input` (no such variable or file). */
export async function readSource({ from, name }: SecretSource, places: SourcePlaces): Promise<Secret> {
  switch (from) {
    case "vault": {
      const vault = await places.vault();
      const found = await vault.get(name);
      if (found !== undefined) return found;
      throw new AmiError("vault.absent", `the vault (${vault.where}) has no ${name}`, {
        hint: `store it with: ami-node vault set ${name}`,
      });
    }
    case "env": {
      const value = places.env[name];
      if (value !== undefined && value !== "") return new Secret(value);
      throw new AmiError("usage.input", `the environment variable ${name} is not set`);
    }
    case "file":
      return readSecretFile(name);
  }
}

/** The text of a file; the line break at its end belongs to the editor, not to the secret. Rejects with `usage.input`. */
export async function readSecretFile(path: string): Promise<Secret> {
  try {
    return new Secret(asText(await readFile(path), path).replace(/\r?\n$/, ""));
  } catch (cause) {
    if (cause instanceof AmiError) throw cause;
    throw new AmiError("usage.input", `${path} cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
}

/** Secrets are texts: bytes that are none would come back as others. Throws `usage.input`. */
export function asText(bytes: Buffer, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new AmiError("usage.input", `${where}: is not UTF-8 text`, {
      hint: "binary secrets can be kept as base64",
      cause,
    });
  }
}
