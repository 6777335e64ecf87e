/** Pe: what a Windows executable is for. */
export interface Pe {
  readonly machine: "x64" | "arm64" | `other (${number})`;
  readonly subsystem: "console" | "gui" | `other (${number})`;
  /** `dangling`: a signature that cannot fit, because the file was changed after it was made or ends before it. */
  readonly signature: "none" | "present" | "dangling";
}

/** Throws when `file` is no 64-bit PE executable. */
export function readPe(file: Buffer): Pe {
  if (file.toString("latin1", 0, 2) !== "MZ") throw new Error("no MZ header");
  const at = file.readUInt32LE(0x3c);
  if (file.toString("latin1", at, at + 4) !== "PE\0\0") throw new Error("no PE header");
  const machine = file.readUInt16LE(at + 4);
  const optional = at + 24;
  if (file.readUInt16LE(optional) !== 0x20b) throw new Error("not a 64-bit PE file");
  const subsystem = file.readUInt16LE(optional + 68);
  // Directory 4, the certificate table, counts from the start of the file and must be its last part.
  const [start, size] = [file.readUInt32LE(optional + 112 + 4 * 8), file.readUInt32LE(optional + 112 + 4 * 8 + 4)];
  return {
    machine: machine === 0x8664 ? "x64" : machine === 0xaa64 ? "arm64" : `other (${machine})`,
    subsystem: subsystem === 3 ? "console" : subsystem === 2 ? "gui" : `other (${subsystem})`,
    signature: size === 0 ? "none" : start + size === file.length ? "present" : "dangling",
  };
}
