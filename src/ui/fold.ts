/** Fold: output that several hosts gave alike, under one heading that lists them. */
import { bytesOf } from "../core/events.ts";
import type { BytesJson, Event } from "../core/events.ts";
import { foldNames } from "../core/fold.ts";
import type { Write } from "./lines.ts";
import type { Paint } from "./paint.ts";

type Fold = Extract<Event, { kind: "fold" }>;

/** Each stream keeps its way; hosts that said nothing and came to no bad end are not mentioned. */
export function writeFold(write: Write, fold: Fold, paint: { readonly stdout: Paint; readonly stderr: Paint }): void {
  const [stdout, stderr] = [ended(fold.stdout), ended(fold.stderr)];
  if (stdout.length > 0) write("stdout", Buffer.concat([Buffer.from(heading(fold, paint.stdout)), stdout]));
  if (stderr.length > 0 || (stdout.length === 0 && fold.exit !== 0))
    write("stderr", Buffer.concat([Buffer.from(heading(fold, paint.stderr)), stderr]));
}

function heading({ hosts, exit }: Fold, paint: Paint): string {
  const rule = paint.dim("-".repeat(15));
  const code = exit === 0 ? "" : ` ${paint.red(`exit ${exit}`)}`;
  return `${rule}\n${paint.bold(foldNames(hosts))} (${hosts.length})${code}\n${rule}\n`;
}

/** The next heading must begin on a line of its own. */
function ended(json: BytesJson): Buffer {
  const bytes = bytesOf(json);
  return bytes.length === 0 || bytes.at(-1) === 0x0a ? bytes : Buffer.concat([bytes, Buffer.from("\n")]);
}
