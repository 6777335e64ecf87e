/** ssh known-hosts remove: forgets what is known of hosts. */
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { hostNames } from "../../../core/ssh/host-names.ts";
import { homeFolder, keyPath } from "../../../core/ssh/key/places.ts";
import { editKnownHosts, withoutHost } from "../../../core/ssh/known-hosts-edit.ts";

const input = z.strictObject({
  host: z.array(z.string().min(1)).min(1).describe("host, host:port, address or alias; more than one may be named"),
  file: z.string().min(1).optional().describe("in this file, and not in those of the ssh config"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      host: z.string(),
      names: z.array(z.string()).readonly().describe("what was looked for"),
      removed: z.array(z.object({ file: z.string(), line: z.number().int() })),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh known-hosts remove",
  summary: "Forget the keys of hosts",
  description: `For a machine that was set up anew. As ssh-keygen -R: every line whose names match goes, hashed ones too; lines marked @revoked or @cert-authority stay; what the file was is kept as FILE.old. An alias of the ssh config stands for its HostName too.`,
  examples: [
    { line: "ami-node ssh known-hosts remove web1", says: "by alias or name" },
    { line: "ami-node ssh known-hosts remove 192.0.2.7:2222", says: "on a port of its own" },
  ],
  input,
  args: { positional: ["host"], values: { host: "HOST", file: "FILE" } },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  readsSshConfig: true,
  exits: { 1: "nothing was known of one of them" },
  run: remove,
  text: ({ hosts }) =>
    hosts
      .flatMap(({ host, names, removed }) =>
        removed.length === 0
          ? [`${host}: nothing is known of ${names.join(" or ")}`]
          : removed.map(({ file, line }) => `${host}: removed ${file}:${line}`),
      )
      .join("\n"),
});

async function remove(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: z.output<typeof output>; exit: number }> {
  const hosts: z.output<typeof output>["hosts"] = [];
  for (const host of wish.host) {
    const place = { configFile: ctx.options.sshConfig, home: homeFolder(), signal: ctx.signal };
    const { names, config } = await hostNames(host, place);
    const removed: { file: string; line: number }[] = [];
    for (const file of wish.file === undefined ? config.userKnownHostsFiles : [keyPath(wish.file)]) {
      await editKnownHosts(file, (text) => {
        const gone = names.flatMap((name) => withoutHost(text, name).removed);
        removed.push(...[...new Set(gone)].toSorted((a, b) => a - b).map((line) => ({ file, line })));
        return names.reduce((rest, name) => withoutHost(rest, name).text, text);
      });
    }
    hosts.push({ host, names, removed });
  }
  return { output: { hosts }, exit: hosts.some(({ removed }) => removed.length === 0) ? 1 : 0 };
}
