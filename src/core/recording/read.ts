/** Read: a recording from its file: asciicast 2 and 3, also one whose writer was killed. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { AmiError } from "../errors.ts";
import { whyUnreadable } from "../unreadable.ts";
import type { Cast, CastEvent, CastHeader, CastVersion } from "./cast.ts";

/** Rejects with `recording.file`. */
export async function readCast(file: string): Promise<Cast> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new AmiError("recording.file", `${file} cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
  return parseCast(text, file);
}

/** Throws `recording.file` with the line that cannot be read. */
export function parseCast(text: string, file: string): Cast {
  const lines = text.split("\n");
  // What follows the last line break: nothing, or the half of a line.
  const rest = lines.pop() ?? "";
  const { version, header } = headerOf(lines[0] ?? rest, file);
  const events: CastEvent[] = [];
  let last = 0;
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.startsWith("#") || line.trim() === "") continue;
    const [time, code, data] = read(eventSchema, line, `${file}:${index + 1}`);
    last = version === 3 ? last + time * 1000 : Math.max(last, time * 1000);
    events.push({ at: last, code, data });
  }
  return { version, ...header, events, torn: lines.length > 0 && rest !== "" };
}

const size = z.number().int().positive();
const common = {
  timestamp: z.number().optional(),
  idle_time_limit: z.number().positive().optional(),
  command: z.string().optional(),
  title: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
};
const headers = z.discriminatedUnion("version", [
  z.object({ version: z.literal(2), width: size, height: size, ...common }),
  z.object({
    version: z.literal(3),
    term: z.object({ cols: size, rows: size, type: z.string().optional() }),
    ...common,
  }),
]);
const eventSchema = z.tuple([z.number().nonnegative(), z.string(), z.string()]);

function headerOf(line: string, file: string): { version: CastVersion; header: CastHeader } {
  const found = read(headers, line, file);
  const { version, timestamp, command, title, env, idle_time_limit: idle } = found;
  const idleLimit = idle === undefined ? undefined : idle * 1000;
  const shape =
    version === 3
      ? { columns: found.term.cols, rows: found.term.rows, term: found.term.type }
      : { columns: found.width, rows: found.height, term: env?.["TERM"] };
  return { version, header: { ...shape, timestamp, command, title, env, idleLimit } };
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
  throw new AmiError("recording.file", `${where}: that is no line of a recording (asciicast 2 or 3)`, {
    hint: "ami-node ssh connect --record makes one",
  });
}
