/**
 * Succeed: the two steps of a rotation on one target. Between them every target has proven the new key, and at no
 * moment a target is without a key that works: the old line goes only through a login of the new key.
 */
import { AmiError } from "../../errors.ts";
import { changeAuthorized, readAuthorized } from "./authorized.ts";
import { type Entrance, enter } from "./enter.ts";
import { readKeyLines, withSuccessor, withoutKey } from "./lines.ts";

/** `key`: the new one. */
export interface Succession extends Entrance {
  readonly old: Buffer;
  /** Of the new key. */
  readonly line: string;
  readonly file?: string | undefined;
}

/** Adds the new key and logs in with it. `absent`: neither key is there. May be done again. */
export async function introduce(wish: Succession): Promise<"introduced" | "absent"> {
  const { hosts, target, signal, file } = wish;
  const host = await hosts.open(target, { signal, become: false });
  const { text } = await readAuthorized(host, { file, signal });
  const keys = readKeyLines(text);
  const isThere = (blob: Buffer): boolean => keys.some((key) => key.blob.equals(blob));
  if (!isThere(wish.old) && !isThere(wish.key.blob)) return "absent";
  await changeAuthorized(host, { file, signal }, (now) => withSuccessor(now, wish.old, wish.line));
  await (await enter(wish)).close();
  return "introduced";
}

/** Removes the old key through a login of the new one, logs in once more, and puts it back if that fails. */
export async function retire(wish: Succession): Promise<void> {
  const { signal, file, old, key } = wish;
  const place = { file, signal };
  const host = await enter(wish);
  try {
    const { before, after } = await changeAuthorized(host, place, (text) => {
      // Somebody may have taken it away since it let us in.
      if (!readKeyLines(text).some((line) => line.blob.equals(key.blob))) throw gone(wish);
      return withoutKey(text, old);
    });
    if (after === before) return;
    try {
      await (await enter(wish)).close();
    } catch (error) {
      // An interruption says nothing against the key, which was proven a moment ago.
      if (!signal.aborted) await changeAuthorized(host, place, (text) => (text === after ? before : text));
      throw error;
    }
  } finally {
    await host.close();
  }
}

function gone({ target }: Succession): AmiError {
  return new AmiError("plan.refused", "the new key is no longer in authorized_keys, so the old one stays", {
    host: target.name,
    hint: "see who else writes that file, and run the rotation again",
  });
}
