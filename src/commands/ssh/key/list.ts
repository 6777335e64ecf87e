/** ssh key list: the keys here, and where they are let in. */
import { z } from "zod";
import { columns } from "../../../core/columns.ts";
import { type Context, defineCommand } from "../../../core/command.ts";
import { errorJson } from "../../../core/errors.ts";
import { fanout } from "../../../core/fanout.ts";
import { errorSchema, exitOfMany } from "../../../core/report.ts";
import { readAuthorized } from "../../../core/ssh/key/authorized.ts";
import { readKeyLines } from "../../../core/ssh/key/lines.ts";
import { listKeys } from "../../../core/ssh/key/list.ts";
import { homeFolder } from "../../../core/ssh/key/places.ts";
import { fingerprint } from "../../../core/ssh/known-hosts.ts";
import { visible } from "../../../core/visible.ts";

const input = z.strictObject({
  file: z.string().min(1).optional().describe("the file of keys there, where sshd reads another one"),
});

const line = z.object({ host: z.string(), line: z.number().int(), options: z.string().optional() });
const output = z.object({
  keys: z.array(
    z.object({
      path: z.string().optional().describe("absent: only the agent has it"),
      type: z.string().optional(),
      bits: z.number().int().optional(),
      fingerprint: z.string().optional(),
      comment: z.string().optional(),
      kind: z.enum(["open", "encrypted", "public", "unusable"]),
      problem: z.string().optional(),
      written: z.number().int().optional().describe("when the file was last written, in seconds since 1970"),
      agent: z.boolean().describe("the agent holds it"),
      usedBy: z.array(z.string()).readonly().describe("names of the ssh config that log in with it by name"),
      letInBy: z.array(line).describe("lines of authorized_keys on the targets"),
    }),
  ),
  strangers: z
    .array(z.object({ ...line.shape, type: z.string(), fingerprint: z.string(), comment: z.string() }))
    .describe("keys that the targets let in and that are not here"),
  hosts: z.array(z.object({ host: z.string(), error: errorSchema.optional() })),
});

type Output = z.output<typeof output>;

export const command = defineCommand({
  name: "ssh key list",
  summary: "Show the keys here, and where they are let in",
  description: `The keys in ~/.ssh and those that the ssh config names: kind, size, fingerprint, age, whether they are encrypted, whether the agent holds them, which names of the config use them. With --target also the lines of authorized_keys there that match, and the keys that are let in there and are not here.`,
  examples: [
    { line: "ami-node ssh key list", says: "this machine" },
    { line: "ami-node ssh key list --target web1,web2", says: "and what those let in" },
  ],
  input,
  args: { values: { file: "REMOTE" } },
  output,
  effect: "read",
  shows: "answer",
  targets: "local",
  exits: { 3: "several targets, and at least one failed", 4: "no target could be reached" },
  run: list,
  text: (answer) => describe(answer),
});

async function list(wish: z.output<typeof input>, ctx: Context): Promise<{ output: Output; exit: number }> {
  const { targets, options, signal } = ctx;
  const place = { home: homeFolder(), configFile: options.sshConfig, agent: process.env["SSH_AUTH_SOCK"], signal };
  const keys = await listKeys(place);
  const there = targets.filter((target) => target.kind !== "local");
  const fans = await fanout(
    there,
    { parallel: options.parallel, timeout: options.timeout, signal },
    async (target, own) => {
      const host = await ctx.hosts.open(target, { signal: own });
      return readKeyLines((await readAuthorized(host, { file: wish.file, signal: own })).text);
    },
  );
  const lines = fans.flatMap((fan) =>
    fan.state !== "done"
      ? []
      : fan.value.map((key) => ({
          host: fan.target.name,
          line: key.line,
          ...(key.options === "" ? {} : { options: key.options }),
          type: key.type,
          fingerprint: fingerprint(key.blob),
          comment: key.comment,
        })),
  );
  const own = new Set(keys.map((key) => key.fingerprint));
  const [only] = fans;
  if (fans.length === 1 && only !== undefined && only.state !== "done") throw only.error;
  return {
    output: {
      keys: keys.map((key) => ({
        ...key,
        letInBy: lines
          .filter((other) => other.fingerprint === key.fingerprint)
          .map(({ host, line: at, options: limits }) => ({
            host,
            line: at,
            ...(limits === undefined ? {} : { options: limits }),
          })),
      })),
      strangers: lines.filter((key) => !own.has(key.fingerprint)),
      hosts: fans.map((fan) => ({
        host: fan.target.name,
        ...(fan.state === "done" ? {} : { error: errorJson(fan.error) }),
      })),
    },
    exit: exitOfMany(fans.map((fan) => (fan.state === "done" ? "ok" : fan.error))),
  };
}

function describe({ keys, strangers, hosts }: Output): string {
  if (keys.length === 0 && hosts.length === 0) return "no keys; make one with: ami-node ssh key generate";
  const rows = keys.map((key) => [
    key.path ?? "(agent only)",
    key.type === undefined ? "?" : `${key.type}${key.type === "ssh-rsa" ? ` ${key.bits}` : ""}`,
    key.kind === "open" && key.path === undefined ? "" : key.kind,
    key.written === undefined ? "" : ageOf(key.written),
    key.agent ? "in agent" : "",
    key.fingerprint ?? "",
    key.comment ?? "",
  ]);
  const more = keys.flatMap((key) => [
    ...(key.problem === undefined ? [] : [`  ${key.problem}`]),
    ...(key.usedBy.length === 0 ? [] : [`  ${key.path} is used by ${key.usedBy.join(", ")}`]),
    ...key.letInBy.map(
      (at) =>
        `  ${key.path ?? key.comment} is let in by ${at.host}, line ${at.line}${at.options === undefined ? "" : ` (${at.options})`}`,
    ),
  ]);
  const others = strangers.map((key) =>
    `  ${key.host} lets in ${key.type} ${key.fingerprint} ${key.comment}`.trimEnd(),
  );
  const failed = hosts.flatMap(({ host, error }) => (error === undefined ? [] : [`  ${host}: ${error.message}`]));
  // Comments and options are whatever somebody wrote there.
  return visible([columns(rows), ...more, ...others, ...failed].join("\n"));
}

function ageOf(written: number): string {
  const days = Math.floor((Date.now() / 1000 - written) / 86_400);
  if (days < 1) return "today";
  return days < 730 ? `${days} d` : `${Math.floor(days / 365)} y`;
}
