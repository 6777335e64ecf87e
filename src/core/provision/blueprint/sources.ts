/** Sources: files beside the blueprint, read once. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, resolve } from "node:path";
import { systemCode, whyUnreadable } from "../../unreadable.ts";
import { didYouMean } from "./mistakes.ts";
import { ExpressionError } from "./liquid.ts";

export interface Sources {
  /** The bytes of a file named in the blueprint. Throws ExpressionError when it cannot be read. */
  readonly bytes: (name: string) => Buffer;
  /** The same as text. Throws ExpressionError when it is not UTF-8. */
  readonly text: (name: string) => string;
}

/** Names are relative to `dir`. What was read is kept in `files`, by absolute path. */
export function openSources(dir: string, files: Map<string, Buffer>): Sources {
  const bytes = (name: string): Buffer => {
    const path = isAbsolute(name) ? name : resolve(dir, name);
    let body = files.get(path);
    if (body === undefined) {
      body = readSource(path, name);
      files.set(path, body);
    }
    return body;
  };
  return {
    bytes,
    text(name) {
      try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes(name));
      } catch (error) {
        if (error instanceof ExpressionError) throw error;
        throw new ExpressionError(`${name} is not UTF-8 text; a file of other bytes is copied with source`);
      }
    },
  };
}

function readSource(path: string, name: string): Buffer {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw new ExpressionError(`${name} is a directory, not a file`);
    if (!stat.isFile()) throw new ExpressionError(`${name} is not a regular file`);
    if (stat.size > maxBytes)
      throw new ExpressionError(`${name} has ${stat.size} bytes; at most ${maxBytes} can be sent as a file resource`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof ExpressionError) throw error;
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR")
      throw new ExpressionError(
        `there is no file ${name} beside the blueprint${didYouMean(basename(path), neighbours(path))}`,
      );
    throw new ExpressionError(`${name} cannot be read: ${whyUnreadable(error)}`);
  }
}

/** Bodies are held in memory for every target. */
const maxBytes = 256 * 1024 * 1024;

function neighbours(path: string): string[] {
  try {
    return readdirSync(dirname(path));
  } catch {
    // The folder itself is missing: no suggestion.
    return [];
  }
}
