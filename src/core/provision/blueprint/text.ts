/** Text: a file of the user as text; bytes that are no UTF-8 are told with their place, never changed in silence. */
import { readFile } from "node:fs/promises";
import { AmiError } from "../../errors.ts";
import { whyUnreadable } from "../../unreadable.ts";

/** `what` it is for messages: blueprint, vars file. Throws `blueprint.invalid`. */
export async function readText(file: string, what: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new AmiError("blueprint.invalid", `${file}: the ${what} cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
  const text = bytes.toString("utf8");
  if (Buffer.from(text, "utf8").equals(bytes)) return text;
  const before = text.slice(0, firstDifference(text, bytes)).split("\n");
  throw new AmiError(
    "blueprint.invalid",
    `${file}:${before.length}:${(before.at(-1) ?? "").length + 1} the ${what} is not UTF-8 text`,
    { hint: "save it as UTF-8; a file of other bytes is copied with `source`" },
  );
}

/** Where in the text the first byte was replaced: what stands there does not come out as it went in. */
function firstDifference(text: string, bytes: Buffer): number {
  let at = 0;
  let offset = 0;
  for (const character of text) {
    const length = Buffer.byteLength(character);
    if (!bytes.subarray(offset, offset + length).equals(Buffer.from(character, "utf8"))) break;
    offset += length;
    at += character.length;
  }
  return at;
}
