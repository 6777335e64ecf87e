/** ssh known-hosts hash: hides the names in known_hosts. */
import { z } from "zod";
import { type Context, defineCommand } from "../../../core/command.ts";
import { AmiError } from "../../../core/errors.ts";
import { knownHostsFiles } from "../../../core/ssh/host-names.ts";
import { homeFolder, keyPath } from "../../../core/ssh/key/places.ts";
import { editKnownHosts, readText, withHashes } from "../../../core/ssh/known-hosts-edit.ts";

const input = z.strictObject({
  file: z.string().min(1).optional().describe("this file, and not your own ones"),
});

const output = z.object({
  files: z.array(
    z.object({
      file: z.string(),
      hashed: z.number().int().describe("names that are hashes now"),
      left: z.array(z.number().int()).describe("lines with wildcards or a marker, which cannot be hashed"),
    }),
  ),
});

export const command = defineCommand({
  name: "ssh known-hosts hash",
  summary: "Hide the names of the hosts you know",
  description: `As ssh-keygen -H: each name becomes a hash, so that who reads the file does not learn where you log in. What the file was is kept as FILE.old: remove it when you are content.`,
  examples: [{ line: "ami-node ssh known-hosts hash", says: "your own files" }],
  input,
  args: { positional: ["file"], values: { file: "FILE" } },
  output,
  effect: "change",
  shows: "answer",
  targets: "none",
  readsSshConfig: true,
  run: hash,
  text: ({ files }) =>
    files
      .map(({ file, hashed, left }) => {
        const rest = left.length === 0 ? "" : `; left as they are: line ${left.join(", ")}`;
        return hashed === 0
          ? `${file}: no name to hash${rest}`
          : `${file}: ${hashed} hashed${rest}; it was ${file}.old`;
      })
      .join("\n"),
});

async function hash(wish: z.output<typeof input>, ctx: Context): Promise<{ output: z.output<typeof output> }> {
  const place = { configFile: ctx.options.sshConfig, home: homeFolder(), signal: ctx.signal };
  const named = wish.file === undefined ? (await knownHostsFiles(place)).userKnownHostsFiles : [keyPath(wish.file)];
  if (wish.file !== undefined && (await readText(keyPath(wish.file))) === undefined) {
    throw new AmiError("usage.input", `${wish.file} does not exist`);
  }
  const files: z.output<typeof output>["files"] = [];
  for (const file of named) {
    await editKnownHosts(file, (text) => {
      const { text: after, hashed, left } = withHashes(text);
      files.push({ file, hashed, left: [...left] });
      return after;
    });
  }
  return { output: { files } };
}
