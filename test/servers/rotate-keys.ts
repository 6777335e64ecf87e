/** Rotate keys: `ssh key rotate` on a fleet, with a failure put where a test wants it. */
import type { z } from "zod";
import { command } from "../../src/commands/ssh/key/rotate.ts";
import type { Hosts } from "../../src/core/command.ts";
import { AmiError } from "../../src/core/errors.ts";
import type { Host } from "../../src/core/host.ts";
import { type OpenHosts, openHosts } from "../../src/core/hosts/open.ts";
import { testContext } from "../unit/commands/context.ts";
import type { KeyFleet } from "./key-fleet.ts";

export interface Injection {
  readonly host: string;
  /** Logins and programs on that host are counted; this one fails. */
  readonly step: number;
  /** `after`: it was done, and the answer never comes back. */
  readonly when: "before" | "after";
}

export interface RotateWish {
  readonly targets?: readonly string[] | undefined;
  readonly identities?: readonly string[] | undefined;
  readonly forget?: readonly string[] | undefined;
}

export async function rotateKeys(
  fleet: KeyFleet,
  injection?: Injection,
  wish: RotateWish = {},
): Promise<{ output: z.output<typeof command.output>; exit: number }> {
  const { ran } = await rotateCounted(fleet, injection, wish);
  return { output: ran.output, exit: ran.exit ?? 0 };
}

/** What a whole rotation does on a host, step by step. */
export async function stepsOf(fleet: KeyFleet, host: string): Promise<readonly string[]> {
  await fleet.reset();
  const { steps } = await rotateCounted(fleet, { host, step: 0, when: "before" }, { targets: [host] });
  await fleet.reset();
  return steps;
}

/** Those of the steps that change authorized_keys. */
export async function writesOf(fleet: KeyFleet, host: string): Promise<readonly number[]> {
  return (await stepsOf(fleet, host)).flatMap((step, index) => (step === "write" ? [index + 1] : []));
}

async function rotateCounted(fleet: KeyFleet, injection: Injection | undefined, wish: RotateWish) {
  const hosts = openHosts({ ssh: { configFile: fleet.configFile, env: {}, identities: wish.identities } });
  const shaky = injection === undefined ? { hosts, steps: [] } : makeShaky(hosts, injection);
  const context = testContext({ targets: wish.targets ?? fleet.names, options: { sshConfig: fleet.configFile } });
  const input = command.input.parse({ key: fleet.key, withoutPassphrase: true, forget: [...(wish.forget ?? [])] });
  try {
    const ran = await command.run(input, { ...context, hosts: shaky.hosts, confirm: () => Promise.resolve() });
    return { ran, steps: shaky.steps };
  } finally {
    await hosts.close();
  }
}

function makeShaky(hosts: OpenHosts, injection: Injection): { hosts: Hosts; steps: readonly string[] } {
  const steps: string[] = [];
  const at = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    const fails = steps.push(step) === injection.step;
    const lost = new AmiError("ssh.lost", "the cable was pulled", { host: injection.host, retry: "unknown" });
    if (fails && injection.when === "before") throw lost;
    const result = await work();
    if (fails) throw lost;
    return result;
  };
  const shaky = (host: Host): Host => ({
    ...host,
    exec(argv, options) {
      const step = argv[0] === "sh" ? (options?.stdin === undefined ? "read" : "write") : argv.join(" ");
      return at(step, () => host.exec(argv, options));
    },
  });
  return {
    steps,
    hosts: {
      async open(target, options) {
        if (target.name !== injection.host) return hosts.open(target, options);
        const step = options?.only === undefined ? "log in" : "log in with the new key";
        return shaky(await at(step, () => hosts.open(target, options)));
      },
    },
  };
}
