/** ssh tunnel: carries connections through a target, for as long as it runs, or in the background. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { endpointText, isLoopback } from "../../core/endpoint.ts";
import { AmiError, exitCodes } from "../../core/errors.ts";
import { sshOptionsOf } from "../../core/hosts/open.ts";
import { type Tunnel, type TunnelKind, parseTunnel, toText } from "../../core/tunnel/spec.ts";
import { inTime, onlyTarget } from "../../core/tunnel/target.ts";

const input = z.strictObject({
  local: z
    .array(z.string())
    .default([])
    .describe("listen here, connect from the target: [bind:]port:host:hostport, either side may be a /socket"),
  remote: z
    .array(z.string())
    .default([])
    .describe("listen on the target, connect from here: the same; a port alone makes a SOCKS proxy there"),
  dynamic: z.array(z.string()).default([]).describe("listen here as a SOCKS 4, 4a and 5 proxy: [bind:]port"),
  expose: z.boolean().default(false).describe("allow addresses that other machines can reach, not loopback only"),
  background: z.boolean().default(false).describe("go on in the background once all is up; see ssh tunnel list"),
  name: z
    .string()
    .regex(/^[A-Za-z0-9_@][A-Za-z0-9._@-]{0,99}$/, "letters, digits and . _ @ - only")
    .optional()
    .describe("what the one in the background is called; else as the target"),
});

const tunnelSchema = z.object({
  listens: z.enum(["here", "there"]),
  listen: z.string().describe("with the port that was chosen"),
  to: z.string(),
});

const output = z.object({
  host: z.string(),
  tunnels: z.array(tunnelSchema),
  served: z.number().int().optional().describe("connections carried; absent when it goes on in the background"),
  background: z.object({ name: z.string(), pid: z.number().int(), log: z.string() }).optional(),
});

export const command = defineCommand({
  name: "ssh tunnel",
  summary: "Carry connections through a target",
  description: `Takes what ssh takes for -L, -R and -D, several at once. Port 0 finds a free port, which is told. It listens on loopback only, unless --expose says otherwise; on the target its sshd decides too (GatewayPorts).

When the connection breaks it is made again, later each time, and whoever connects meanwhile waits a little. It runs until Ctrl-C, or with --background until ssh tunnel close; questions are asked before it goes there. --timeout says how long it may take to come up.

A target that is called list or close is given by --target.`,
  examples: [
    { line: "ami-node ssh tunnel web1 -L 8080:localhost:80", says: "port 80 of web1 as port 8080 here" },
    { line: "ami-node ssh tunnel web1 -L 0:db.internal:5432", says: "a database behind web1, on a free port" },
    { line: "ami-node ssh tunnel web1 -R 9000:localhost:3000", says: "what runs here on port 3000, for web1" },
    { line: "ami-node ssh tunnel web1 -D 1080 --background", says: "a SOCKS proxy that goes on in the background" },
    { line: "ami-node ssh tunnel web1 -L /tmp/docker.sock:/var/run/docker.sock", says: "a unix socket" },
  ],
  input,
  args: {
    targetWord: true,
    short: { local: "L", remote: "R", dynamic: "D" },
    values: { local: "SPEC", remote: "SPEC", dynamic: "SPEC", name: "NAME" },
  },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  targets: "settings",
  exits: { 130: "ended by Ctrl-C" },
  run: tunnel,
});

type Wish = z.output<typeof input>;

async function tunnel(wish: Wish, ctx: Context): Promise<{ output: z.output<typeof output>; exit?: number }> {
  const target = onlyTarget(ctx);
  const tunnels = readTunnels(wish);
  const { openLedger, startBackground } = await import("../../core/tunnel/background.ts");
  const ledger = wish.background ? await openLedger(ctx.events, tunnels.length) : undefined;
  if (wish.background && ledger === undefined) {
    warnExposed(tunnels, ctx);
    const answers = sshOptionsOf(ctx.hosts);
    const record = await inTime(target, ctx, (signal) =>
      startBackground({ name: wish.name, target: target.name, answers, signal }),
    );
    const { name, pid, log } = record;
    for (const each of record.tunnels) ctx.events.emit({ kind: "tunnel.up", host: target.name, again: false, ...each });
    const text = `it goes on in the background as ${name}; end it with: ami-node ssh tunnel close ${name}`;
    ctx.events.emit({ kind: "note", host: target.name, level: "info", text });
    return { output: { host: target.name, tunnels: record.tunnels, background: { name, pid, log } } };
  }
  if (ledger === undefined) warnExposed(tunnels, ctx);
  let failure: unknown;
  try {
    const { keepTunnels } = await import("../../core/tunnel/keep.ts");
    const { signal, events } = ctx;
    const [here, far] = await Promise.all([
      ctx.hosts.open({ kind: "local", name: "local", vars: {} }, { signal, become: false }),
      inTime(target, ctx, (own) => ctx.hosts.open(target, { signal: own, become: false })),
    ]);
    const kept = await keepTunnels({ here, far, tunnels, events, signal });
    return {
      output: { host: target.name, ...kept, tunnels: kept.tunnels.map(tunnelJson) },
      exit: exitCodes.interrupted,
    };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    await ledger?.end(ctx.signal.aborted ? undefined : failure);
  }
}

/** Throws `usage.input`. */
function readTunnels(wish: Wish): Tunnel[] {
  const kinds: readonly TunnelKind[] = ["local", "remote", "dynamic"];
  const tunnels = kinds.flatMap((kind) => wish[kind].map((text) => parseTunnel(kind, text)));
  if (tunnels.length === 0) {
    throw new AmiError("usage.input", "there is nothing to carry", {
      hint: "say what: --local 8080:localhost:80, --remote 9000:localhost:3000 or --dynamic 1080",
    });
  }
  if (wish.name !== undefined && !wish.background)
    throw new AmiError("usage.input", "--name is for those in the background: add --background");
  const open = tunnels.find(({ at }) => !isLoopback(at));
  if (open !== undefined && !wish.expose) {
    throw new AmiError("usage.input", `${endpointText(open.at)} could be reached by other machines`, {
      hint: "leave the address away to listen on loopback; if you mean it, add --expose",
    });
  }
  return tunnels;
}

function warnExposed(tunnels: readonly Tunnel[], { events }: Context): void {
  for (const { at, to, listens } of tunnels.filter((each) => !isLoopback(each.at))) {
    const where = listens === "here" ? "this machine" : "the target";
    const text = `whoever reaches ${endpointText(at)} of ${where} reaches ${toText(to)}`;
    events.emit({ kind: "note", level: "warn", text });
  }
}

function tunnelJson({ listens, at, to }: Tunnel): z.output<typeof tunnelSchema> {
  return { listens, listen: endpointText(at), to: toText(to) };
}
