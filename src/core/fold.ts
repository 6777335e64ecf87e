/** Fold: equal things said once, with the list of those who said them, as `clush -b` does. Pure. */

export interface Group<T> {
  readonly members: readonly T[];
  readonly key: string;
}

/** Groups by key, in the order of first appearance; the larger groups first. */
export function fold<T>(items: readonly T[], keyOf: (item: T) => string): Group<T>[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [item]);
    else members.push(item);
  }
  return [...groups].map(([key, members]) => ({ key, members })).sort((a, b) => b.members.length - a.members.length);
}

/** Names with their numbers as ranges, as `--target` takes them: `web[1-3],web7,db` for web1, web2, web3, web7 and db. */
export function foldNames(names: readonly string[]): string {
  const all = [...new Set(names)].map(placesOf);
  const sizes = new Map<string, number>();
  for (const { places } of all) for (const { frame } of places) sizes.set(frame, (sizes.get(frame) ?? 0) + 1);
  const families = new Map<string, string[]>();
  for (const { name, places } of all) {
    // A name with several numbers folds at the one that most others share; at the last when none does.
    const best = places.reduce<Place | undefined>(
      (a, b) => (a === undefined || (sizes.get(b.frame) ?? 0) >= (sizes.get(a.frame) ?? 0) ? b : a),
      undefined,
    );
    const frame = best?.frame ?? name;
    families.set(frame, [...(families.get(frame) ?? []), best?.number ?? ""]);
  }
  return [...families]
    .flatMap(([frame, numbers]) => rangesOf(numbers).map((range) => frame.replace(gap, range)))
    .join(",");
}

/** One number of a name, and what is around it. */
interface Place {
  readonly frame: string;
  readonly number: string;
}

/** Stands for the number in a frame; no host name holds it. */
const gap = "\0";

function placesOf(name: string): { name: string; places: Place[] } {
  const places = [...name.matchAll(/\d+/g)].map(({ 0: number, index }) => ({
    frame: `${name.slice(0, index)}${gap}${name.slice(index + number.length)}`,
    number,
  }));
  return { name, places };
}

/** `[1-3]` and `7`. Leading zeros are part of a number. */
function rangesOf(numbers: readonly string[]): string[] {
  const sorted = numbers.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
  const ranges: [first: string, last: string][] = [];
  for (const number of sorted) {
    const range = ranges.at(-1);
    if (range !== undefined && next(range[1]) === number) range[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => (first === last ? first : `[${first}-${last}]`));
}

function next(number: string): string {
  return String(BigInt(number) + 1n).padStart(number.length, "0");
}
