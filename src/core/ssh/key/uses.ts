/** Uses: the names of the ssh config that log in with a key file by name. */
import { sshAliases } from "../config/aliases.ts";
import { resolveSshConfig } from "../config/resolve.ts";

export interface ConfigPlace {
  readonly configFile?: string | undefined;
  readonly home: string;
}

/** In the order written. A config that cannot be read uses nothing here: what needs it says what is wrong with it. */
export async function usesOf(file: string, { configFile, home }: ConfigPlace): Promise<string[]> {
  const aliases = sshAliases(configFile, home);
  const uses = await Promise.all(
    aliases.map(async (alias) => {
      const config = await resolveSshConfig(alias, { configFile, home }).catch(() => undefined);
      return config?.identityFilesExplicit === true && config.identityFiles.includes(file);
    }),
  );
  return aliases.filter((_alias, index) => uses[index]);
}
