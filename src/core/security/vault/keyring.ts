/**
 * Keyring vault: the operating system's own. On Linux the Secret Service and nothing else: the library would quietly
 * fall back to the kernel's keyring, whose content is gone after a restart.
 */
import { AmiError } from "../../errors.ts";
import { Secret } from "../../secret.ts";
import type { Vault } from "../../vault.ts";

const service = "ami-node";

/** Milliseconds: it may ask a person to unlock it. */
const patience = 60_000;

/** Undefined: there is none that answers, with the reason. */
export async function keyringVault(signal: AbortSignal): Promise<Vault | { readonly missing: string }> {
  let library: typeof import("@napi-rs/keyring");
  try {
    library = await import("@napi-rs/keyring");
  } catch {
    return { missing: "this build of ami-node brings no access to it" };
  }
  const within = (): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(patience)]);
  const entry = (name: string) => new library.AsyncEntry(service, name, { linux: { store: "secret-service" } });
  const find = () => library.findCredentialsAsync(service, undefined, within());
  try {
    entry("probe");
    await find();
  } catch (error) {
    return { missing: firstLine(error) };
  }

  const read = async (name: string): Promise<string | undefined> =>
    (await told(() => entry(name).getPassword(within()))) ?? undefined;
  return {
    store: "keyring",
    where: names[process.platform] ?? "the Secret Service of this session",
    async list() {
      const found = await told(find);
      return found.map(({ account }) => ({ name: account })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async get(name) {
      const value = await read(name);
      return value === undefined ? undefined : new Secret(value);
    },
    async set(name, value) {
      const old = await read(name);
      if (old === value.reveal()) return "same";
      await told(() => entry(name).setPassword(value.reveal(), within()));
      return old === undefined ? "new" : "replaced";
    },
    remove: (name) => told(() => entry(name).deleteCredential(within())),
  };
}

const names: Partial<Record<NodeJS.Platform, string>> = {
  darwin: "the Keychain",
  win32: "the Credential Manager",
};

async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new AmiError("vault.locked", `the keyring does not give it: ${firstLine(cause)}`, { cause });
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
}
