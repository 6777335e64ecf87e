/** File vault: sealed with a passphrase, for machines without a keyring. Written beside and renamed, by one at a time. */
import { randomBytes } from "node:crypto";
import { open, readFile, readlink, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { AmiError } from "../../errors.ts";
import { makeFolder } from "../../folder.ts";
import { withLock } from "../../lock.ts";
import { Secret } from "../../secret.ts";
import { whyUnreadable } from "../../unreadable.ts";
import type { Vault } from "../../vault.ts";
import { newVaultFile, openVaultFile, readVault, writeVault, type Opened, type VaultFile } from "./format.ts";

/** Where passphrases come from. `undefined`: there is no other answer than the ones before. */
export interface Passphrases {
  /** Of the vault as it is; asked again, `attempt` up, after a wrong one. */
  current(attempt: number): Promise<Secret | undefined>;
  /** Of a vault that is made. */
  first(): Promise<Secret>;
  /** That is to take the place of the one it has. */
  next(): Promise<Secret>;
}

export function fileVault(file: string, passphrases: Passphrases, signal: AbortSignal): Vault {
  /** Once it was right, it is not asked for again. */
  let known: Secret | undefined;

  const read = async (): Promise<VaultFile | undefined> => {
    let text: string;
    try {
      text = await readFile(file, "utf8");
    } catch (cause) {
      if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
      throw unusable(file, cause);
    }
    return readVault(text, file);
  };

  const opened = async (vault: VaultFile): Promise<Opened> => {
    for (let attempt = 1; ; attempt++) {
      const passphrase = known ?? (await passphrases.current(attempt));
      if (passphrase === undefined) break;
      const open = await openVaultFile(vault, passphrase, file);
      if (open !== undefined) {
        known = passphrase;
        return open;
      }
      // Another process has given it another passphrase meanwhile.
      known = undefined;
    }
    throw new AmiError("vault.locked", `${file}: that is not its passphrase`, {
      hint: "AMI_NODE_VAULT_PASSPHRASE, AMI_NODE_VAULT_PASSPHRASE_FILE or a person at the terminal give it",
    });
  };

  /** `next` sees the file as it is when nobody else may write it; undefined leaves it so. */
  const change = async <T>(
    next: (vault: VaultFile | undefined) => Promise<{ vault?: VaultFile; result: T }>,
  ): Promise<T> => {
    const place = await behindLinks(file);
    try {
      makeFolder(dirname(place));
    } catch (cause) {
      throw unusable(file, cause);
    }
    return withLock({ file: place, patience, signal, held: beingWritten(file) }, async () => {
      const { vault, result } = await next(await read());
      if (vault !== undefined) await write(place, writeVault(vault));
      return result;
    });
  };

  return {
    store: "file",
    where: file,
    async list() {
      const entries = Object.entries((await read())?.entries ?? {});
      return entries.map(([name, { changed }]) => ({ name, changed }));
    },
    async get(name) {
      const vault = await read();
      if (vault === undefined || !Object.hasOwn(vault.entries, name)) return undefined;
      const value = (await opened(vault)).value(name);
      return value === undefined ? undefined : new Secret(value.toString("utf8"));
    },
    async set(name, secret) {
      const value = Buffer.from(secret.reveal(), "utf8");
      // Questions are asked before the lock is taken: a person may take long.
      const before = await read();
      if (before === undefined) known = await passphrases.first();
      else await opened(before);
      return change(async (vault) => {
        if (vault === undefined) {
          const passphrase = known ?? (await passphrases.first());
          return {
            vault: await newVaultFile(passphrase, new Map([[name, { value, changed: new Date() }]])),
            result: "new",
          };
        }
        const open = await opened(vault);
        const old = open.value(name);
        if (old?.equals(value) === true) return { result: "same" };
        return {
          vault: open.with(new Map([[name, value]]), new Date()),
          result: old === undefined ? "new" : "replaced",
        };
      });
    },
    async remove(name) {
      const before = await read();
      if (before === undefined || !Object.hasOwn(before.entries, name)) return false;
      await opened(before);
      return change(async (vault) => {
        if (vault === undefined || !Object.hasOwn(vault.entries, name)) return { result: false };
        return { vault: (await opened(vault)).with(new Map([[name, undefined]]), new Date()), result: true };
      });
    },
    async rotate() {
      const before = await read();
      if (before === undefined)
        throw new AmiError("vault.absent", `there is no vault at ${file} yet`, {
          hint: "ami-node vault set NAME makes it",
        });
      await opened(before);
      const fresh = await passphrases.next();
      return change(async (vault = before) => {
        const open = await opened(vault);
        const values = Object.entries(vault.entries).map(([name, { changed }]) => {
          const value = open.value(name) ?? Buffer.alloc(0);
          return [name, { value, changed: new Date(changed) }] as const;
        });
        const next = await newVaultFile(fresh, new Map(values));
        known = fresh;
        return { vault: next, result: values.length };
      });
    },
  };
}

/** Milliseconds; writing takes far less than a second. */
const patience = 15_000;

function beingWritten(file: string) {
  return (by: string, lock: string): AmiError =>
    new AmiError("vault.locked", `${file} is being written by ${by}`, {
      hint: `wait for it; when it is gone, remove ${lock}`,
      retry: "yes",
    });
}

/** People keep such files elsewhere and link to them: the link stays, and what it leads to is written. */
async function behindLinks(file: string, depth = 0): Promise<string> {
  const next = await readlink(file).catch(() => undefined);
  return next === undefined || depth === 40 ? file : behindLinks(resolve(dirname(file), next), depth + 1);
}

/** On the disk before it gets its name, so that a crash leaves the old vault or the new one. */
async function write(file: string, text: string): Promise<void> {
  const temp = `${file}.${randomBytes(8).toString("hex")}`;
  try {
    const handle = await open(temp, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temp, file);
  } catch (cause) {
    await rm(temp, { force: true });
    throw unusable(file, cause);
  }
}

function unusable(file: string, cause: unknown): AmiError {
  return new AmiError("vault.damaged", `${file} cannot be used: ${whyUnreadable(cause)}`, { cause });
}
