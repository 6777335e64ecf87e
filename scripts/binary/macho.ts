/** Mach-O: what a macOS executable is for, whether its code signature fits its bytes, and signing it anew. */
import { createHash } from "node:crypto";

export interface MachO {
  readonly machine: "x64" | "arm64" | `other (${number})`;
  /** Undefined: not signed. Apple silicon refuses to run such a file. */
  readonly signature: Signature | undefined;
}

export interface Signature {
  /** Made without an identity: enough to run, not to pass Gatekeeper when downloaded. */
  readonly adHoc: boolean;
  readonly identifier: string;
  readonly pages: number;
  /** Pages whose hash is not the one that was signed; 0 in a sound file. */
  readonly badPages: number;
}

const magic = 0xfeedfacf;
const codeSignatureCommand = 0x1d;
/** These numbers are big-endian, unlike the rest of the file. */
const superBlobMagic = 0xfade0cc0;
const codeDirectoryMagic = 0xfade0c02;

/** Throws when `file` is no 64-bit Mach-O executable. */
export function readMachO(file: Buffer): MachO {
  if (file.readUInt32LE(0) !== magic) throw new Error("no 64-bit Mach-O file");
  if (file.readUInt32LE(12) !== 2) throw new Error("not an executable");
  const cpu = file.readUInt32LE(4);
  return {
    machine: cpu === 0x0100_0007 ? "x64" : cpu === 0x0100_000c ? "arm64" : `other (${cpu})`,
    signature: signatureOf(file),
  };
}

function signatureOf(file: Buffer): Signature | undefined {
  const command = loadCommands(file).find(({ type }) => type === codeSignatureCommand);
  return command === undefined ? undefined : readSuperBlob(file, file.readUInt32LE(command.at + 8));
}

function readSuperBlob(file: Buffer, at: number): Signature {
  if (file.readUInt32BE(at) !== superBlobMagic) throw new Error("the code signature holds no blobs");
  for (let index = 0; index < file.readUInt32BE(at + 8); index++) {
    const blob = at + file.readUInt32BE(at + 12 + index * 8 + 4);
    if (file.readUInt32BE(blob) === codeDirectoryMagic) return readCodeDirectory(file, blob);
  }
  throw new Error("the code signature has no code directory");
}

function readCodeDirectory(file: Buffer, at: number): Signature {
  const identifier = at + file.readUInt32BE(at + 20);
  const hashes = at + file.readUInt32BE(at + 16);
  const pages = file.readUInt32BE(at + 28);
  const codeEnd = file.readUInt32BE(at + 32);
  const hashSize = file[at + 36] ?? 0;
  if (file[at + 37] !== 2 || hashSize !== 32) throw new Error("the pages are not hashed with SHA-256");
  const pageSize = 2 ** (file[at + 39] ?? 0);
  let badPages = 0;
  for (let page = 0; page < pages; page++) {
    const bytes = file.subarray(page * pageSize, Math.min((page + 1) * pageSize, codeEnd));
    const signed = file.subarray(hashes + page * hashSize, hashes + (page + 1) * hashSize);
    if (!createHash("sha256").update(bytes).digest().equals(signed)) badPages++;
  }
  if (Math.ceil(codeEnd / pageSize) !== pages) throw new Error("the signature does not cover the whole file");
  return {
    adHoc: (file.readUInt32BE(at + 12) & 2) !== 0,
    identifier: file.toString("latin1", identifier, file.indexOf(0, identifier)),
    pages,
    badPages,
  };
}

/**
 * The same program with an ad-hoc signature in place of the one it had, as Go's linker makes it: one code directory of
 * SHA-256 page hashes. Throws when the file has no room for a signature (never signed).
 */
export function signMachO(file: Buffer, identifier: string): Buffer {
  const commands = loadCommands(file);
  const signature = commands.find((command) => command.type === codeSignatureCommand);
  const linkEdit = commands.find((command) => command.segment === "__LINKEDIT");
  const text = commands.find((command) => command.segment === "__TEXT");
  if (signature === undefined || linkEdit === undefined || text === undefined)
    throw new Error("no room for a signature");
  const codeEnd = file.readUInt32LE(signature.at + 8);
  const [pageSize, name] = [4096, Buffer.from(`${identifier}\0`, "latin1")];
  const pages = Math.ceil(codeEnd / pageSize);
  const hashes = directorySize + name.length;
  const size = 20 + hashes + pages * 32;

  const signed = Buffer.alloc(codeEnd + size);
  file.copy(signed, 0, 0, codeEnd);
  signed.writeUInt32LE(size, signature.at + 12);
  const linkEditStart = Number(signed.readBigUInt64LE(linkEdit.at + 40));
  const linkEditSize = codeEnd + size - linkEditStart;
  signed.writeBigUInt64LE(BigInt(linkEditSize), linkEdit.at + 48);
  // Whole pages of 16 KiB, which suits both processors.
  signed.writeBigUInt64LE(BigInt(Math.ceil(linkEditSize / 16384) * 16384), linkEdit.at + 32);

  const superBlob = [superBlobMagic, size, 1, 0, 20];
  const adHocLinkerSigned = 0x0002_0002;
  const directory = [
    codeDirectoryMagic,
    hashes + pages * 32,
    0x20400,
    adHocLinkerSigned,
    hashes,
    directorySize,
    0,
    pages,
    codeEnd,
  ];
  [...superBlob, ...directory].forEach((word, index) => signed.writeUInt32BE(word, codeEnd + index * 4));
  const at = codeEnd + 20;
  // Hash size, hash type SHA-256, platform, log2 of the page size.
  signed.set([32, 2, 0, 12], at + 36);
  signed.writeBigUInt64BE(signed.readBigUInt64LE(text.at + 40), at + 64);
  signed.writeBigUInt64BE(signed.readBigUInt64LE(text.at + 48), at + 72);
  const mainBinary = 1n;
  signed.writeBigUInt64BE(mainBinary, at + 80);
  name.copy(signed, at + directorySize);
  for (let page = 0; page < pages; page++) {
    const bytes = signed.subarray(page * pageSize, Math.min((page + 1) * pageSize, codeEnd));
    createHash("sha256")
      .update(bytes)
      .digest()
      .copy(signed, at + hashes + page * 32);
  }
  return signed;
}

const directorySize = 88;
const segmentCommand = 0x19;

interface LoadCommand {
  readonly at: number;
  readonly type: number;
  /** Name, where it is a segment. */
  readonly segment: string | undefined;
}

function loadCommands(file: Buffer): readonly LoadCommand[] {
  const commands: LoadCommand[] = [];
  let at = 32;
  for (let left = file.readUInt32LE(16); left > 0; left--) {
    const type = file.readUInt32LE(at);
    const segment = type === segmentCommand ? file.toString("latin1", at + 8, file.indexOf(0, at + 8)) : undefined;
    commands.push({ at, type, segment });
    at += file.readUInt32LE(at + 4);
  }
  return commands;
}
