/** Enter: a login that needs one key and no other, proven by a program that ran there. */
import type { Hosts, LoginKey } from "../../command.ts";
import { AmiError } from "../../errors.ts";
import { type Host, exitStatus } from "../../host.ts";
import type { Target } from "../../targets.ts";

export interface Entrance {
  readonly target: Target;
  readonly hosts: Hosts;
  readonly key: LoginKey;
  readonly signal: AbortSignal;
}

/**
 * The caller closes it. Rejects with `ssh.*`, or with `plan.refused` for a key that lets in to one purpose only
 * (command=, ForceCommand): whoever has nothing else stands outside.
 */
export async function enter({ hosts, target, key, signal }: Entrance): Promise<Host> {
  const host = await hosts.open(target, { signal, become: false, only: key });
  try {
    const { exit, stdout } = await host.exec(["printf", "%s-%s", "let", "in"], { signal });
    if (exitStatus(exit) === 0 && stdout.includes("let-in")) return host;
    throw new AmiError("plan.refused", "the key lets us in, but a program cannot be run with it", {
      host: target.name,
      hint: "is a command forced on it (command= in authorized_keys, ForceCommand of the sshd_config)?",
    });
  } catch (error) {
    await host.close();
    throw error;
  }
}
