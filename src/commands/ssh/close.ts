/** ssh close: ends connections that the broker holds. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";

const input = z.strictObject({
  host: z.string().min(1).optional().describe("as ssh list names it"),
  all: z.boolean().default(false).describe("all of this user, and the broker itself"),
});

const output = z.object({
  closed: z.array(z.string()).describe("hosts whose connections were ended"),
});

export const command = defineCommand({
  name: "ssh close",
  summary: "End connections that are kept open",
  description: "Programs that run over them at this moment are cut off, which is asked before.",
  examples: [
    { line: "ami-node ssh close web1", says: "one host" },
    { line: "ami-node ssh close --all", says: "every one; the broker ends too" },
  ],
  input,
  args: { positional: ["host"], values: { host: "HOST" } },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  run: close,
  text({ closed }) {
    return closed.length === 0 ? "no connections were open\n" : closed.map((name) => `${name}: closed`).join("\n");
  },
});

async function close(
  { host, all }: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output> }> {
  if (all === (host !== undefined)) throw new AmiError("usage.input", "name the host to close, or give --all");
  const [{ brokerPlace }, { askBroker }] = await Promise.all([
    import("../../core/broker/place.ts"),
    import("../../core/broker/ask.ts"),
  ]);
  const place = brokerPlace(process.env);
  const logins = (await askBroker(place, { wish: "list" }))?.logins ?? [];
  const meant = logins.filter((login) => all || login.host === host);
  if (host !== undefined && meant.length === 0) {
    const near = nearest(
      host,
      logins.map((login) => login.host),
    );
    throw new AmiError("usage.input", `no connection to ${host} is kept open`, {
      hint: near === undefined ? "list them with: ami-node ssh list" : `did you mean ${near}?`,
    });
  }
  const busy = meant.filter(({ channels }) => channels > 0);
  if (busy.length > 0) {
    const names = busy.map((login) => login.host).join(", ");
    await ctx.confirm(`something runs on ${names}: cut it off?`);
  }
  const closed = (await askBroker(place, { wish: "close", host }))?.logins ?? [];
  return { output: { closed: closed.map((login) => login.host) } };
}
