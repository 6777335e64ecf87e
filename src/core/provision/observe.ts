/** Observe: all probes of a stage as one program, one answer for each. */
import type { OsFacts, Probe, ProbeKind } from "../facts.ts";
import { createFacts, probeKey, type Facts } from "../facts.ts";
import { AmiError } from "../errors.ts";
import { observeProgram } from "./dialects/sh.ts";
import { readOs } from "./os.ts";
import { loadProbe, type ProbeCompiler } from "./probes/probe.ts";
import type { Session } from "./session.ts";

export interface Observation {
  readonly facts: Facts;
  readonly os: OsFacts | undefined;
}

/** One round trip. `unlock`: also gives back the lock of that run. */
export async function observe(
  session: Session,
  probes: readonly Probe[],
  options: { os: boolean; unlock?: string | undefined },
): Promise<Observation> {
  const kinds = new Map<ProbeKind, { compiler: ProbeCompiler<ProbeKind>; probes: Probe[] }>();
  const seen = new Set<string>();
  for (const probe of probes) {
    const key = probeKey(probe);
    if (seen.has(key)) continue;
    seen.add(key);
    const kind = kinds.get(probe.kind);
    if (kind) kind.probes.push(probe);
    else kinds.set(probe.kind, { compiler: await loadProbe(probe.kind), probes: [probe] });
  }
  const sections = [...kinds].map(([name, { compiler, probes: asked }]) => ({ name, sh: compiler.sh(asked) }));
  const bodies = new Map<string, Buffer>();
  await session.run(
    observeProgram(session.nonce, sections, options),
    (frame) => frame.word === "end",
    (frame) => bodies.set(frame.word, frame.body),
  );
  const facts = createFacts();
  for (const [name, { compiler, probes: asked }] of kinds) {
    const answers = parse(name, compiler, asked, bodies.get(name), session.host.name);
    for (const [index, probe] of asked.entries()) facts.set(probe, answers[index] as never);
  }
  const os = bodies.get("os");
  return { facts, os: os === undefined ? undefined : readOs(os.toString("utf8")) };
}

function parse(
  name: string,
  compiler: ProbeCompiler<ProbeKind>,
  asked: readonly Probe[],
  body: Buffer | undefined,
  host: string,
): readonly unknown[] {
  if (body === undefined) throw new AmiError("apply.failed", `the target did not answer the ${name} probe`, { host });
  try {
    return compiler.parse(body, asked);
  } catch (error) {
    throw new AmiError(
      "apply.failed",
      `the answer of the target to the ${name} probe cannot be read: ${String(error instanceof Error ? error.message : error)}`,
      { host, cause: error },
    );
  }
}
