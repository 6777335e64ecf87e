/** Targets file: one target per line, `#` comments; commas work as on the command line. */
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { AmiError } from "../errors.ts";
import { whyUnreadable } from "../unreadable.ts";

/** A word and where it was written. */
export interface TargetWord {
  readonly word: string;
  /** `hosts.txt:3`; undefined: on the command line. */
  readonly at?: string | undefined;
}

/** `-` reads `stdin`. Rejects with `usage.target` when the file cannot be read or names nothing. */
export async function readTargetsFile(file: string, stdin?: Readable): Promise<TargetWord[]> {
  const name = file === "-" ? "standard input" : file;
  let text: string;
  try {
    text = file === "-" ? await textOf(stdin ?? process.stdin) : await readFile(file, "utf8");
  } catch (error) {
    throw new AmiError("usage.target", `the targets file ${name} cannot be read: ${whyUnreadable(error)}`, {
      hint: "give a file with one target per line, or - for standard input",
      cause: error,
    });
  }
  const words = parseTargetsFile(text, file === "-" ? "stdin" : file);
  if (words.length === 0) {
    throw new AmiError("usage.target", `${name} holds no target`, { hint: "write one per line; # begins a comment" });
  }
  return words;
}

/** A `#` begins a comment at the start of a line or after white space. */
function parseTargetsFile(text: string, name: string): TargetWord[] {
  return text
    .replace(/^\ufeff/, "")
    .split(/\r\n|\n|\r/)
    .flatMap((row, index) =>
      row
        .replace(/(^|\s)#.*$/, "")
        .split(/[,\s]+/)
        .filter((word) => word !== "")
        .map((word) => ({ word, at: `${name}:${index + 1}` })),
    );
}
