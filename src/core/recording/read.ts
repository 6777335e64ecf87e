/** Read: a recording from its file: asciicast 2 and 3, also one whose writer was killed. */
import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { AmiError } from "../errors.ts";
import { whyUnreadable } from "../unreadable.ts";
import type { Cast, CastEvent, CastHeader, CastVersion } from "./cast.ts";

/** Rejects with `recording.file`. */
export async function readCast(file: string): Promise<Cast> {
  let text: string;
  try {
    // One text cannot be longer, and it is read as one.
    if ((await stat(file)).size > largest) throw new Error("it is larger than 500 MiB");
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new AmiError("recording.file", `${file} cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
  return parseCast(text, file);
}

/** Bytes. */
const largest = 500 * 1024 * 1024;

/** Throws `recording.file` with the line that cannot be read. */
export function parseCast(text: string, file: string): Cast {
  const lines = text.split("\n");
  // What follows the last line break: nothing, or the half of a line.
  const last = lines.pop() ?? "";
  // Not everybody ends the last line.
  const rest = isJson(last) && lines.length > 0 ? "" : last;
  if (rest !== last) lines.push(last);
  const { version, header } = headerOf(lines[0] ?? rest, file);
  const events: CastEvent[] = [];
  let at = 0;
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.startsWith("#") || line.trim() === "") continue;
    const [time, code, data] = read(eventSchema, line, `${file}:${index + 1}`);
    at = version === 3 ? at + time * 1000 : Math.max(at, time * 1000);
    if (typeof data === "string") events.push({ at, code, data });
    else if (known.has(code)) throw noLine(`${file}:${index + 1}`);
  }
  return { version, ...header, events, torn: lines.length > 0 && rest !== "" };
}

/** Those of codes that are not known may hold what nobody knows. */
const known: ReadonlySet<string> = new Set(["o", "i", "r", "m", "x"]);

const size = z.number().int().positive();
const common = {
  timestamp: z.number().nullish(),
  idle_time_limit: z.number().positive().nullish(),
  command: z.string().nullish(),
  title: z.string().nullish(),
  env: z.record(z.string(), z.string().nullable()).nullish(),
};
const headers = z.discriminatedUnion("version", [
  z.object({ version: z.literal(2), width: size, height: size, ...common }),
  z.object({
    version: z.literal(3),
    term: z.object({ cols: size, rows: size, type: z.string().optional() }),
    ...common,
  }),
]);
const eventSchema = z.tuple([z.number().nonnegative(), z.string(), z.unknown()], z.unknown());

function headerOf(line: string, file: string): { version: CastVersion; header: CastHeader } {
  const found = read(headers, line, file);
  const { version, timestamp, command, title, idle_time_limit: idle } = found;
  const idleLimit = typeof idle === "number" ? idle * 1000 : undefined;
  const env =
    found.env &&
    Object.fromEntries(Object.entries(found.env).flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
  const shape =
    version === 3
      ? { columns: found.term.cols, rows: found.term.rows, term: found.term.type }
      : { columns: found.width, rows: found.height, term: env?.["TERM"] };
  const said = { timestamp: timestamp ?? undefined, command: command ?? undefined, title: title ?? undefined };
  return { version, header: { ...shape, ...said, env: env ?? undefined, idleLimit } };
}

function read<T extends z.ZodType>(schema: T, line: string, where: string): z.output<T> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw noLine(where);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function noLine(where: string): AmiError {
  return new AmiError("recording.file", `${where}: that is no line of a recording (asciicast 2 or 3)`, {
    hint: "ami-node ssh connect --record makes one",
  });
}
