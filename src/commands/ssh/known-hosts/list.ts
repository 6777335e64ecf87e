/** ssh known-hosts list: which keys hosts are known by. */
import { z } from "zod";
import { columns } from "../../../core/columns.ts";
import { type Context, defineCommand } from "../../../core/command.ts";
import { hostNames, knownHostsFiles } from "../../../core/ssh/host-names.ts";
import { homeFolder, keyPath } from "../../../core/ssh/key/places.ts";
import { type ListedHost, listKnownHosts } from "../../../core/ssh/known-hosts-edit.ts";

const input = z.strictObject({
  host: z.string().min(1).optional().describe("only what is known of this host, hashed or not"),
  file: z.string().min(1).optional().describe("look in this file, and not in those of the ssh config"),
});

const output = z.object({
  hosts: z.array(
    z.object({
      file: z.string(),
      line: z.number().int(),
      marker: z.enum(["@revoked", "@cert-authority"]).optional(),
      names: z.string().describe("as they stand; |1|... is a hash, which tells nothing about its name"),
      type: z.string(),
      bits: z.number().int().optional(),
      fingerprint: z.string(),
      repeats: z.string().optional().describe("FILE:LINE of an earlier line that says the same"),
      differs: z
        .string()
        .optional()
        .describe("FILE:LINE of an earlier line that gives a name another key of this type"),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh known-hosts list",
  summary: "Show the keys that hosts are known by",
  examples: [
    { line: "ami-node ssh known-hosts list", says: "everything in your files and those of the system" },
    { line: "ami-node ssh known-hosts list web1", says: "one host; hashed lines are found too" },
  ],
  input,
  args: { positional: ["host"], values: { host: "HOST", file: "FILE" } },
  output,
  effect: "read",
  shows: "answer",
  targets: "none",
  readsSshConfig: true,
  exits: { 1: "nothing is known of the host" },
  run: list,
  text: ({ hosts }) => (hosts.length === 0 ? "nothing is known" : columns(hosts.map(rowOf))),
});

async function list(
  wish: z.output<typeof input>,
  ctx: Context,
): Promise<{ output: { hosts: ListedHost[] }; exit: number }> {
  const place = { configFile: ctx.options.sshConfig, home: homeFolder(), signal: ctx.signal };
  if (wish.host === undefined) {
    const config = await knownHostsFiles(place);
    const files =
      wish.file === undefined ? [...config.userKnownHostsFiles, ...config.globalKnownHostsFiles] : [keyPath(wish.file)];
    return { output: { hosts: await listKnownHosts(files) }, exit: 0 };
  }
  const { names, config } = await hostNames(wish.host, place);
  const files =
    wish.file === undefined ? [...config.userKnownHostsFiles, ...config.globalKnownHostsFiles] : [keyPath(wish.file)];
  const found = await Promise.all(names.map((name) => listKnownHosts(files, name)));
  const hosts = found
    .flat()
    .filter((one, index, all) => all.findIndex(({ file, line }) => file === one.file && line === one.line) === index);
  return { output: { hosts }, exit: hosts.length === 0 ? 1 : 0 };
}

function rowOf(host: ListedHost): string[] {
  const remark =
    host.differs !== undefined
      ? `another key than ${host.differs}`
      : host.repeats !== undefined
        ? `again, as in ${host.repeats}`
        : "";
  const names = host.names.startsWith("|") ? "(hashed)" : host.names;
  return [
    `${host.file}:${host.line}`,
    [host.marker, names].filter(Boolean).join(" "),
    host.type,
    host.fingerprint,
    remark,
  ];
}
