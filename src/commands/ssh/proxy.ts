/** ssh proxy: one service behind a target, on stdin and stdout, or on a port here. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { endpointText, isLoopback } from "../../core/endpoint.ts";
import { AmiError, exitCodes } from "../../core/errors.ts";
import type { Endpoint } from "../../core/host.ts";
import { parseService, parseTunnel } from "../../core/tunnel/spec.ts";
import { inTime, onlyTarget } from "../../core/tunnel/target.ts";
import type { Target } from "../../core/targets.ts";

const input = z.strictObject({
  service: z.string().min(1).describe("what to reach: PORT of the target, HOST:PORT seen from it, or /SOCKET"),
  listen: z.string().optional().describe("serve it here on [bind:]port or /socket, instead of stdin and stdout"),
  expose: z.boolean().default(false).describe("allow an address that other machines can reach, not loopback only"),
});

const output = z.object({
  host: z.string(),
  service: z.string(),
  served: z.number().int().describe("connections carried"),
});

export const command = defineCommand({
  name: "ssh proxy",
  summary: "Reach one service behind a target",
  description: `Without --listen stdin and stdout are the connection, byte for byte, as with ssh -W: it serves as a ProxyCommand. It ends when the service hangs up.

With --listen it is a tunnel for that service, until Ctrl-C.`,
  examples: [
    { line: "ami-node ssh proxy web1 6379", says: "talk to a port of web1" },
    {
      line: "ami-node ssh proxy web1 db.internal:5432 --listen 5432",
      says: "a database behind web1, as if it ran here",
    },
    {
      line: "ssh -o ProxyCommand='ami-node ssh proxy bastion %h:%p' inner",
      says: "OpenSSH over a jump host of ours",
    },
  ],
  input,
  args: { targetWord: true, positional: ["service"], values: { service: "SERVICE", listen: "ADDRESS" } },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  targets: "settings",
  exits: { 130: "ended by Ctrl-C" },
  run: proxy,
});

type Wish = z.output<typeof input>;
type Answer = { output: z.output<typeof output>; exit?: number };

async function proxy(wish: Wish, ctx: Context): Promise<Answer> {
  const target = onlyTarget(ctx);
  const to = parseService(wish.service);
  const { signal, events } = ctx;
  const answer = (served: number): Answer["output"] => ({ host: target.name, service: endpointText(to), served });
  const openTarget = () => inTime(target, ctx, (own) => ctx.hosts.open(target, { signal: own, become: false }));
  if (wish.listen === undefined) {
    await bridge(target, to, ctx);
    return { output: answer(1), ...(signal.aborted ? { exit: exitCodes.interrupted } : {}) };
  }
  const { at } = parseTunnel("local", `${wish.listen}:${endpointText(to)}`);
  if (!isLoopback(at)) {
    if (!wish.expose) {
      throw new AmiError("usage.input", `${endpointText(at)} could be reached by other machines`, {
        hint: "leave the address away to listen on loopback; if you mean it, add --expose",
      });
    }
    const text = `whoever reaches ${endpointText(at)} of this machine reaches ${endpointText(to)}`;
    events.emit({ kind: "note", level: "warn", text });
  }
  const [here, far, { keepTunnels }] = await Promise.all([
    ctx.hosts.open({ kind: "local", name: "local", vars: {} }, { signal, become: false }),
    openTarget(),
    import("../../core/tunnel/keep.ts"),
  ]);
  const { served } = await keepTunnels({ here, far, tunnels: [{ listens: "here", at, to }], events, signal });
  return { output: answer(served), exit: exitCodes.interrupted };
}

/** Until the service hangs up, or whoever started us does: OpenSSH ends its ProxyCommand by a signal, which is no error. */
async function bridge(target: Target, to: Endpoint, ctx: Context): Promise<void> {
  const { stdio, options, signal } = ctx;
  if (stdio === undefined || options.json) {
    throw new AmiError("usage.input", "stdin and stdout are the connection, and there is no room for events", {
      hint: "serve it on a port instead: --listen 0",
    });
  }
  const { finished } = await import("node:stream/promises");
  const { way, service } = await inTime(target, ctx, async (own) => {
    const host = await ctx.hosts.open(target, { signal: own, become: false });
    if (host.forward === undefined)
      throw new AmiError("host.unsupported", "it cannot carry connections", { host: host.name });
    const opened = await host.forward(own);
    return { way: opened, service: await opened.connect(to, own) };
  });
  const { stdin, stdout } = stdio;
  const hangUp = (): void => void service.destroy();
  signal.addEventListener("abort", hangUp, { once: true });
  let lost: AmiError | undefined;
  void way.lost.then((reason) => (lost = reason));
  stdin.pipe(service);
  service.pipe(stdout, { end: false });
  try {
    await finished(service, { writable: false }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    if (lost !== undefined && !signal.aborted) throw lost;
  } finally {
    signal.removeEventListener("abort", hangUp);
    stdin.unpipe(service).pause();
    service.destroy();
  }
}
