/** ssh edit: a file of a host in the editor of this machine. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { z } from "zod";
import { formatBytes } from "../../core/bytes.ts";
import { type Context, defineCommand } from "../../core/command.ts";
import { edit as runEditor, editorOf } from "../../core/editor.ts";
import { AmiError, asAmiError, isErrorCode } from "../../core/errors.ts";
import { type Site, at } from "../../core/ssh/verbs/act-on.ts";
import { type Place, readPlaces } from "../../core/ssh/verbs/places.ts";
import { absolute, nameIn } from "../../core/ssh/verbs/verbs.ts";
import { whyUnreadable } from "../../core/unreadable.ts";
import { visibleLine } from "../../core/visible.ts";

const input = z.strictObject({
  path: z.string().min(1).describe("the file: HOST:PATH; one that is not there is made"),
});

const output = z.object({
  host: z.string(),
  path: z.string().describe("links followed"),
  written: z.boolean().describe("false: it was left as it was"),
  bytes: z.number(),
});

export const command = defineCommand({
  name: "ssh edit",
  summary: "Edit a file of a host in your own editor",
  description: `The file comes here, into a private folder; VISUAL or EDITOR opens it, and what you saved goes back, in one step, with the mode and owner it had. Nothing is written when nothing was changed, or when the editor ends with a failure (:cq in vim); what was saved before that is kept here.

When the file on the host has changed meanwhile, or your text cannot be written, the host keeps what it has, and you are told where your text is.`,
  examples: [
    { line: "ami-node ssh edit web1:/etc/motd --become", says: "as root" },
    { line: "ami-node ssh edit web1:.bashrc", says: "in what EDITOR names: vim, or 'code --wait'" },
  ],
  input,
  args: { positional: ["path"], values: { path: "HOST:PATH" } },
  output,
  effect: "change",
  programs: "own",
  shows: "events",
  interactive: true,
  targets: "words",
  exits: { 1: "nothing was written: the file changed meanwhile, or the editor failed" },
  run: edit,
});

type Answer = z.output<typeof output>;

async function edit(wish: z.output<typeof input>, ctx: Context): Promise<{ output: Answer }> {
  const place = await onePlace(wish.path, ctx);
  const { target } = place;
  if (ctx.stdio === undefined)
    throw new AmiError("usage.input", "an editor needs a terminal on this side", { hint: "put it there: ssh put" });
  const inside = <R>(work: (site: Site) => Promise<R>): Promise<R> => at(target, place.paths, ctx, ctx.signal, work);
  const { path, old } = await inside(fetch);
  const folder = await mkdtemp(join(tmpdir(), "ami-edit-"));
  const file = join(folder, tame(nameIn(path)));
  let isKept = false;
  try {
    await writeFile(file, old ?? "", { mode: 0o600 });
    await runEditor(file, editorOf(process.env)).catch(async (error: unknown) => {
      // An editor that was killed has saved before, perhaps: that is nobody's to throw away.
      const saved = await readFile(file).catch(() => undefined);
      isKept = saved !== undefined && !saved.equals(old ?? Buffer.alloc(0));
      throw isKept ? withText(asAmiError(error), file, place) : error;
    });
    const text = await readFile(file).catch((error: unknown) => {
      throw new AmiError("run.refused", `nothing was written: ${file}: ${whyUnreadable(error)}`);
    });
    const answer = { host: target.name, path, bytes: text.length };
    if (text.equals(old ?? Buffer.alloc(0))) {
      note(ctx, target.name, `${path} is left as it was`);
      return { output: { ...answer, written: false } };
    }
    // From here on the text is worth something.
    isKept = true;
    // The login may have been lost over a long lunch: all is opened anew.
    await inside((site) => swap(site, path, old, text)).catch((error: unknown) => {
      throw withText(asAmiError(error), file, place);
    });
    isKept = false;
    note(ctx, target.name, `${path} is written`);
    return { output: { ...answer, written: true } };
  } finally {
    if (!isKept) await rm(folder, { recursive: true, force: true });
  }
}

async function onePlace(word: string, ctx: Context): Promise<Place> {
  const [place, ...others] = await readPlaces([word], ctx.resolve);
  if (place !== undefined && others.length === 0) return place;
  throw new AmiError("usage.input", `${word} is on several hosts, and one is edited at a time`, {
    hint: "edit it once, then spread it: ami-node ssh transfer",
  });
}

/** It is held in memory, twice. */
const mostBytes = 256 * 1024 * 1024;

/** `old` is undefined for a file that is not there yet. */
async function fetch({ verbs, host, target, paths, signal }: Site): Promise<{ path: string; old: Buffer | undefined }> {
  const fail = (path: string, why: string, hint?: string): AmiError =>
    new AmiError("host.file", `${path}: ${why}`, { host: target.name, hint });
  const named = paths[0] ?? "";
  let path = absolute(verbs, named);
  let found = await verbs.look(path);
  // The file is edited, not a link to it: that would be replaced.
  for (let hops = 0; found?.type === "symlink"; hops++) {
    if (hops === 40) throw fail(path, "its links lead in a circle");
    const { leadsTo = "" } = found;
    path = leadsTo.startsWith("/") ? absolute(verbs, leadsTo) : absolute(verbs, `${folderOf(path)}/${leadsTo}`);
    found = await verbs.look(path);
  }
  if (found === undefined) {
    const folder = await verbs.follow(folderOf(path));
    if (folder?.type !== "folder") throw fail(path, "there is no folder it could be in", "make it: ami-node ssh mkdir");
    if (named.endsWith("/")) throw fail(path, "a folder is not edited");
    return { path, old: undefined };
  }
  if (found.type !== "file") throw fail(path, found.type === "folder" ? "it is a folder" : "it is not a plain file");
  if (found.size > mostBytes)
    throw fail(path, `it has ${formatBytes(found.size)}, too much to be edited so`, "copy it: ami-node ssh transfer");
  return { path, old: await contentOf({ host, signal }, path) };
}

/** Puts it there if the file is still what it was when it was fetched. Mode and owner are kept by `put`. */
async function swap(site: Site, path: string, old: Buffer | undefined, text: Buffer): Promise<void> {
  const { verbs, host, target, signal } = site;
  const found = await verbs.look(path);
  const now = found?.type === "file" ? await contentOf(site, path) : undefined;
  const isSame = old === undefined ? found === undefined : now?.equals(old) === true;
  if (!isSame) {
    const what = found === undefined ? "deleted" : old === undefined ? "made" : "changed";
    throw new AmiError("host.file", `${path} was ${what} by somebody else meanwhile: nothing was written`, {
      host: target.name,
    });
  }
  // As a stream: that goes by sftp, which may be all there is.
  await host.put(Readable.from([text], { objectMode: false }), path, { signal });
}

async function contentOf({ host, signal }: Pick<Site, "host" | "signal">, path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await host.get(path, { signal })) as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function withText(error: AmiError, file: string, { target, paths }: Place): AmiError {
  const { code, message, host, retry, cause } = error;
  const init = {
    host,
    retry,
    cause,
    hint: `your text is in ${file}; compare: ami-node ssh cat ${target.name}:${paths[0]}`,
  };
  return new AmiError(isErrorCode(code) ? code : "run.failed", message, init);
}

function note({ events }: Context, host: string, text: string): void {
  events.emit({ kind: "note", host, level: "info", text: visibleLine(text) });
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** The name keeps its end, by which editors know what is in a file. */
function tame(name: string): string {
  const safe = name
    .replaceAll(/[^\w.+@ -]/g, "_")
    .replace(/^-/, "_")
    .slice(-100);
  return safe === "" || safe === "." || safe === ".." ? "file" : safe;
}
