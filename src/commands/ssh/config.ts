/** ssh config: what the ssh config says about a host. */
import { z } from "zod";
import { type Context, defineCommand } from "../../core/command.ts";
import { AmiError } from "../../core/errors.ts";
import { algorithmNames } from "../../core/ssh/algorithms.ts";
import { type Row, printConfig } from "../../core/ssh/config/print.ts";
import { resolveAlone, resolveSshConfig } from "../../core/ssh/config/resolve.ts";
import { transports } from "../../core/ssh/options.ts";
import { chooseTransport } from "../../core/ssh/system/choose.ts";
import { homeFolder } from "../../core/ssh/key/places.ts";
import { parseTarget } from "../../core/targets.ts";

const input = z.strictObject({
  host: z.string().min(1).describe("[user@]host[:port], or an alias"),
  ownParser: z
    .boolean()
    .default(false)
    .describe("never ask ssh, not even for Match exec and CanonicalizeHostname, which are then passed over"),
});

const output = z.object({
  host: z.string(),
  source: z.enum(["own", "ssh -G"]).describe("who worked it out"),
  settings: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  transport: z.enum(transports).describe("who would log in: this program, or the ssh of this machine"),
  why: z.string().optional().describe("why the ssh of this machine would"),
  unsupported: z.array(z.string()).describe("options in force that have an effect with --transport system only"),
  passedOver: z.array(z.string()).describe("what --own-parser did not evaluate"),
});

/** Keywords that may come more than once, and those that hold a list. */
const lists = new Set(["identityfile", "certificatefile", "sendenv", "setenv"]);

export const command = defineCommand({
  name: "ssh config",
  summary: "Show what the ssh config says about a host",
  description: `Prints the settings in the form of ssh -G, as this program uses them: every Host, Match and Include taken in, tokens and ~ expanded. Algorithms are those that are offered.`,
  examples: [
    { line: "ami-node ssh config web1", says: "everything" },
    { line: "ami-node ssh config web1 --json | jq -r .settings.hostname", says: "one value" },
    { line: "ami-node ssh config web1 --ssh-config ./ssh_config", says: "of another file" },
  ],
  input,
  args: { positional: ["host"], values: { host: "HOST" } },
  output,
  effect: "read",
  shows: "answer",
  targets: "none",
  readsSshConfig: true,
  exits: { 64: "the ssh config has mistakes; each is told with its file and line" },
  run: show,
  text: ({ settings, why, unsupported, passedOver }) =>
    [
      ...Object.entries(settings).flatMap(([keyword, value]) => [value].flat().map((word) => `${keyword} ${word}`)),
      ...(why === undefined ? [] : [`# the ssh of this machine logs in: ${why}`]),
      ...unsupported.map((line) => `# only with --transport system: ${line}`),
      ...passedOver.map((line) => `# passed over: ${line}`),
    ].join("\n"),
});

async function show(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const target = parseTarget(wish.host);
  if (target.kind === "local") throw new AmiError("usage.target", "this machine itself is not reached over ssh");
  const { host, user, port } = target;
  const options = { configFile: ctx.options.sshConfig, user, port, home: homeFolder(), signal: ctx.signal };
  const { config, passedOver } = wish.ownParser
    ? await resolveAlone(host, options)
    : { config: await resolveSshConfig(host, options), passedOver: [] };
  const setting = transports.find((known) => known === ctx.settings.get("ssh.transport"));
  const choice = await chooseTransport(config, { transport: setting }, { explicitFiles: [] });
  return {
    output: {
      host,
      source: config.source,
      ...(choice.transport === "ssh2" ? { transport: "ssh2" } : { transport: "system", why: choice.why }),
      settings: asObject(printConfig(config, algorithmNames(config))),
      unsupported: config.unsupported.map(({ option, value, file, line }) => `${option} ${value} (${file}:${line})`),
      passedOver: passedOver.map(({ why, file, line }) => `${why} (${file}:${line})`),
    },
  };
}

function asObject(rows: readonly Row[]): Record<string, string | string[]> {
  const settings: Record<string, string | string[]> = {};
  for (const [keyword, value] of rows) {
    if (!lists.has(keyword)) settings[keyword] = value;
    else settings[keyword] = [...[settings[keyword] ?? []].flat(), value];
  }
  return settings;
}
