/**
 * Passphrases of the vault file: from the flags, from the environment, or from a person, in this order. None of them is
 * ever an argument: those stand in the process list.
 */
import { AmiError } from "../../errors.ts";
import type { Secret } from "../../secret.ts";
import { readSource, type SecretSource } from "../../source.ts";
import type { Passphrases } from "./file.ts";

export interface PassphraseOptions {
  /** `--passphrase-file`. */
  readonly file?: string | undefined;
  /** `--new-passphrase-file`. */
  readonly newFile?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks a person, unseen. Rejects with `run.refused` where there is none. */
  ask(question: string): Promise<Secret>;
}

export function passphrasesOf({ file, newFile, env, ask }: PassphraseOptions): Passphrases {
  const given = sourceOf(file, "AMI_NODE_VAULT_PASSPHRASE", env);
  const givenNext = sourceOf(newFile, "AMI_NODE_VAULT_NEW_PASSPHRASE", env);
  const read = async (source: SecretSource): Promise<Secret> =>
    notEmpty(await readSource(source, { env, vault: () => Promise.reject(new Error("a vault cannot open itself")) }));
  return {
    async current(attempt) {
      if (given !== undefined) return attempt === 1 ? read(given) : undefined;
      return attempt > 3 ? undefined : ask(`${attempt === 1 ? "" : "Wrong. "}Passphrase of the vault:`);
    },
    first: () => (given === undefined ? askTwice(ask, "Passphrase for the new vault:") : read(given)),
    next: () => (givenNext === undefined ? askTwice(ask, "New passphrase of the vault:") : read(givenNext)),
  };
}

function sourceOf(file: string | undefined, name: string, env: PassphraseOptions["env"]): SecretSource | undefined {
  if (file !== undefined) return { from: "file", name: file };
  const [words, path] = [env[name], env[`${name}_FILE`]];
  if (words !== undefined && words !== "") return { from: "env", name };
  return path === undefined || path === "" ? undefined : { from: "file", name: path };
}

async function askTwice(ask: PassphraseOptions["ask"], question: string): Promise<Secret> {
  const first = notEmpty(await ask(question));
  const again = await ask("The same again:");
  if (again.reveal() === first.reveal()) return first;
  throw new AmiError("usage.input", "the two are not the same", { hint: "nothing was changed; try again" });
}

function notEmpty(passphrase: Secret): Secret {
  if (passphrase.reveal() !== "") return passphrase;
  throw new AmiError("usage.input", "the passphrase of the vault is empty", {
    hint: "it protects all that is in there",
  });
}
