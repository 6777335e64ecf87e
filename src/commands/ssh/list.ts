/** ssh list: the connections that the broker holds. */
import { z } from "zod";
import { columns } from "../../core/columns.ts";
import { defineCommand } from "../../core/command.ts";
import { formatDuration } from "../../core/duration.ts";

const output = z.object({
  broker: z
    .object({ pid: z.number().int(), persist: z.number().describe("milliseconds that a connection stays open unused") })
    .optional()
    .describe("absent: none runs"),
  logins: z.array(
    z.object({
      host: z.string(),
      user: z.string(),
      at: z.string().describe("address and port"),
      connections: z.number().int(),
      channels: z.number().int().describe("in use at this moment"),
      since: z.iso.datetime(),
      idle: z.number().int().describe("milliseconds since it was last used"),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh list",
  summary: "List the connections that are kept open",
  description: "Those that the broker holds for the next ssh execute; see ssh broker.",
  examples: [
    { line: "ami-node ssh list", says: "all of this user" },
    { line: "ami-node ssh list --json", says: "for programs" },
  ],
  input: z.strictObject({}),
  args: {},
  output,
  effect: "read",
  shows: "answer",
  targets: "none",
  async run() {
    const [{ brokerPlace }, { askBroker }] = await Promise.all([
      import("../../core/broker/place.ts"),
      import("../../core/broker/ask.ts"),
    ]);
    const found = await askBroker(brokerPlace(process.env), { wish: "list" });
    if (found?.pid === undefined) return { output: { logins: [] } };
    const { pid, persist = 0, logins } = found;
    return {
      output: {
        broker: { pid, persist },
        logins: logins.map(({ since, lastUsed, ...login }) => ({
          ...login,
          since: new Date(since).toISOString(),
          idle: Math.max(0, Date.now() - lastUsed),
        })),
      },
    };
  },
  text({ broker, logins }) {
    if (broker === undefined) return "no broker runs: no connections are kept open\n";
    if (logins.length === 0) return "no connections are open\n";
    return `${columns([
      ["HOST", "USER", "AT", "SINCE", "IDLE", "CHANNELS"],
      ...logins.map(({ host, user, at, since, idle, channels }) => [
        host,
        user,
        at,
        since,
        channels > 0 ? "-" : formatDuration(idle),
        String(channels),
      ]),
    ])}`;
  },
});
