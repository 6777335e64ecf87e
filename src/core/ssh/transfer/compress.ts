/** Compress: a stream made smaller for the way, by what both ends have. */
import type { Buffer } from "node:buffer";
import type { Duplex, Readable } from "node:stream";
import zlib from "node:zlib";

export interface Packing {
  readonly name: "zstd" | "gzip";
  /** At the other end: from its stdin to its stdout. */
  readonly packs: readonly string[];
  readonly unpacks: readonly string[];
  /** At this end. */
  pack(): Duplex;
  unpack(source: Readable): AsyncIterable<Buffer>;
}

/** undefined: the other end has neither. */
export function choosePacking(tools: ReadonlySet<string>): Packing | undefined {
  // Nothing that comes over the network is waited for longer than it takes: fast levels.
  if (tools.has("zstd") && typeof zlib.createZstdCompress === "function") {
    return {
      name: "zstd",
      packs: ["zstd", "-q", "-3", "-c"],
      unpacks: ["zstd", "-q", "-d", "-c"],
      pack: () => zlib.createZstdCompress({ params: { [zlib.constants.ZSTD_c_compressionLevel]: 3 } }),
      unpack: (source) => piped(source, zlib.createZstdDecompress()),
    };
  }
  if (!tools.has("gzip")) return undefined;
  return {
    name: "gzip",
    packs: ["gzip", "-c", "-3"],
    unpacks: ["gzip", "-d", "-c"],
    pack: () => zlib.createGzip({ level: 3 }),
    unpack: (source) => piped(source, zlib.createGunzip()),
  };
}

function piped(source: Readable, through: Duplex): AsyncIterable<Buffer> {
  source.on("error", (error) => through.destroy(error));
  return source.pipe(through);
}
