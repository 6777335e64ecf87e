/** Public line: the one line of a key that may leave this machine. */
import { readFile } from "node:fs/promises";
import { AmiError } from "../../errors.ts";
import { readKeyFile } from "../keys.ts";
import { publicLine } from "./generate.ts";
import { type KeyLine, readKeyLine, readKeyLines } from "./lines.ts";
import { publicHalf } from "./places.ts";

/**
 * Of a .pub file its line as it stands, options included; of a private key the line of the .pub beside it, or one made
 * from the key. Rejects with `usage.input`: a private key where a public one should be is never passed on.
 */
export async function readPublicKey(path: string): Promise<KeyLine> {
  if (path.endsWith(".pub")) return onlyLine(path);
  const file = await readKeyFile(path);
  if (file.state === "missing") throw new AmiError("usage.input", `${path} does not exist`);
  if (file.state === "unusable") throw new AmiError("usage.input", file.why);
  if (file.state === "public") return onlyLine(path);
  const own = publicHalf(file);
  const beside = await onlyLine(`${path}.pub`).catch((error: unknown) => {
    if (own === undefined) throw error;
    return undefined;
  });
  if (beside !== undefined && (own === undefined || beside.blob.equals(own.blob))) return beside;
  if (own === undefined || beside !== undefined) {
    throw new AmiError("usage.input", `${path}.pub is not the public half of ${path}`, {
      hint: `make it anew: ssh-keygen -y -f ${path} > ${path}.pub`,
    });
  }
  const line = readKeyLine(publicLine(own.type, own.blob, path));
  if (line === undefined) throw new AmiError("usage.input", `${path} is of a kind that sshd does not take`);
  return line;
}

async function onlyLine(path: string): Promise<KeyLine> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AmiError("usage.input", `${path} cannot be read: ${why}`, { cause: error });
  }
  if (/PRIVATE KEY|PuTTY-User-Key-File/.test(text)) {
    throw new AmiError("usage.input", `${path} holds a private key; only public ones are ever sent`, {
      hint: "name the .pub file",
    });
  }
  const [line, second] = readKeyLines(text);
  if (line !== undefined && second === undefined && !line.type.includes("-cert-")) return line;
  const what = line === undefined ? "no public key" : second === undefined ? "a certificate" : "several keys";
  throw new AmiError("usage.input", `${path} holds ${what}`, { hint: "name a file with one public key" });
}
