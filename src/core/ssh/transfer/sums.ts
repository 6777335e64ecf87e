/** Sums: the sha256 of files, worked out where they are. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { AmiError } from "../../errors.ts";
import { type Host, exitStatus } from "../../host.ts";
import type { End } from "./end.ts";

/** Of the first `size` bytes. Where no program there can, the bytes come here for it. */
export async function sha256Of(end: End, path: string, size: number, signal: AbortSignal): Promise<string> {
  if (end.host === undefined)
    return size === 0 ? hashOf([]) : hashOf(createReadStream(path, { end: size - 1, signal }));
  const { exit, stdout } = await end.host.exec(["sh", "-c", headProgram, "sh", path, String(size)], { signal });
  const sum = /[0-9a-f]{64}/.exec(stdout.toString("latin1"))?.[0];
  if (exitStatus(exit) === 0 && sum !== undefined) return sum;
  return hashOf(firstOf(await end.host.get(path, { signal }), size));
}

const headProgram = `head -c "$2" "$1" | { sha256sum || shasum -a 256 || openssl dgst -sha256; } 2>/dev/null`;

async function hashOf(bytes: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of bytes) hash.update(piece);
  return hash.digest("hex");
}

async function* firstOf(stream: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let left = size;
  for await (const bytes of stream) {
    yield bytes.subarray(0, left);
    left -= Math.min(left, bytes.length);
  }
}

/** Of files below a folder, in their order. Rejects with `host.file` or `host.unsupported`. */
export async function sumsBelow(
  end: End,
  folder: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  if (paths.length === 0) return [];
  if (end.host === undefined) {
    const sums: string[] = [];
    for (const path of paths) sums.push(await hashOf(createReadStream(join(folder, path), { signal })));
    return sums;
  }
  const { exit, stdout, stderr } = await end.host.exec(["sh", "-c", sumsProgram, "sh", folder], {
    signal,
    stdin: paths.map((path) => `./${path}\0`).join(""),
  });
  const sums =
    stdout
      .toString("latin1")
      .match(/^\\?[0-9a-f]{64}/gm)
      ?.map((sum) => sum.slice(-64)) ?? [];
  if (exitStatus(exit) === 0 && sums.length === paths.length) return sums;
  throw sumsError(end.host, stderr.toString("utf8").trim());
}

const sumsProgram = `cd "$1" || exit; if command -v sha256sum >/dev/null; then xargs -0 sha256sum; else xargs -0 shasum -a 256; fi`;

function sumsError(host: Host, said: string): AmiError {
  return new AmiError("host.file", `the sums of what arrived cannot be worked out: ${said.split("\n")[0] ?? ""}`, {
    host: host.name,
    hint: "for that sha256sum or shasum is needed there",
  });
}
