/** Login: one as any command would make it; further ones only to tell apart what the first left open. */
import { setTimeout as sleep } from "node:timers/promises";
import { agentKeys } from "../../ssh/agent.ts";
import type { SshConfig } from "../../ssh/config/ssh-config.ts";
import { type Identities, type Identity, createKeyRing } from "../../ssh/identities.ts";
import { type KeyFile, readKeyFile } from "../../ssh/keys.ts";
import type { SshOptions } from "../../ssh/options.ts";
import { keyChoice } from "../../ssh/pool.ts";
import { type Rehearsal, rehearse } from "../../ssh/rehearsal.ts";
import type { AgentSeen, AuthSeen } from "../judge/auth.ts";
import type { Waits } from "../waits.ts";
import type { Way } from "./way.ts";

export interface LoginWish {
  readonly name: string;
  readonly config: SshConfig;
  readonly ssh: SshOptions;
  readonly way: Way;
  readonly waits: Waits;
  readonly signal: AbortSignal;
}

export interface Login {
  readonly rehearsal: Rehearsal;
  readonly identities: Identities;
  readonly agent: AgentSeen;
  readonly files: readonly KeyFile[];
}

export async function logIn({ name, config, ssh, way, waits, signal }: LoginWish): Promise<Login> {
  const choice = keyChoice(config, ssh);
  const paths = [...new Set([...choice.explicitFiles, ...choice.identityFiles])];
  const [identities, agent, files] = await Promise.all([
    createKeyRing(ssh).identities(choice),
    seeAgent(choice.agent),
    Promise.all(paths.map((path) => readKeyFile(path))),
  ]);
  const named = (file: KeyFile): boolean => file.state !== "missing" || choice.identityFilesExplicit;
  const once = (): Promise<Rehearsal> =>
    rehearse({
      name,
      config,
      jump: way.jump,
      identities,
      agent: choice.agent,
      options: ssh,
      patience: waits.login,
      signal,
    });
  let rehearsal = await once();
  // The probe is counted for a moment yet; where MaxStartups is small that is one too many.
  if (rehearsal.phase === "the banner" && "error" in rehearsal.outcome && rehearsal.outcome.error.retry === "yes") {
    await sleep(500);
    rehearsal = await once();
  }
  return { rehearsal, identities, agent, files: files.filter(named) };
}

async function seeAgent(path: string | undefined): Promise<AgentSeen> {
  if (path === undefined) return { state: "none" };
  try {
    return { state: "answers", path, keys: (await agentKeys(path)).length };
  } catch (error) {
    return { state: "dead", path, why: error instanceof Error ? error.message : String(error) };
  }
}

/** After the server hung up for too many keys: each of the others in a login of its own, so that the right one is found. */
export async function withOthers(login: Login, wish: LoginWish): Promise<AuthSeen> {
  const { rehearsal, identities, agent, files } = login;
  const { name, config, ssh, way, waits, signal } = wish;
  const error = "error" in rehearsal.outcome ? rehearsal.outcome.error : undefined;
  const seen: AuthSeen = {
    name,
    user: config.user,
    host: config.hostName,
    error,
    method: rehearsal.steps.findLast(({ is }) => is === "sent")?.method ?? "none",
    steps: rehearsal.steps,
    banners: rehearsal.banners,
    files,
    agent,
    others: [],
    works: undefined,
    kexMs: rehearsal.kexMs,
    ms: rehearsal.ms,
    inside: undefined,
  };
  const isTooMany = error !== undefined && /too many authentication failures/i.test(error.message);
  if (!isTooMany) return seen;
  const refused = new Set(rehearsal.steps.flatMap(({ is, identity }) => (is === "refused" ? [identity] : [])));
  const left = identities.list.filter((identity) => !refused.has(identity)).slice(0, mostOthers);
  const others: Rehearsal["steps"][number][] = [];
  for (const identity of left) {
    const again = await rehearse({
      name,
      config,
      jump: way.jump,
      identities: { list: [identity], problems: [] },
      agent: keyChoice(config, ssh).agent,
      options: { ...ssh, ask: undefined },
      patience: waits.login,
      signal,
    });
    others.push(...again.steps);
    if ("error" in again.outcome) continue;
    again.outcome.connection.close();
    return { ...seen, others, works: identity };
  }
  return { ...seen, others };
}

/** Logins in vain look like an attack. */
const mostOthers = 10;

/** Those the server refused whose public half we know. */
export function refusedKeys({ steps }: AuthSeen): { identity: Identity; blob: string }[] {
  return steps.flatMap(({ is, identity }) =>
    is === "refused" && identity?.public !== undefined
      ? [{ identity, blob: identity.public.blob.toString("base64") }]
      : [],
  );
}
