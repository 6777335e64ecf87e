/** Mode: permissions as chmod takes them, 0644 or u+x,go-w. Pure. */

/** What becomes of the bits of a thing. */
export type ModeChange = (mode: number, isFolder: boolean) => number;

/** Undefined: it is none. Without a who it is for all: the umask of the other side is not asked. */
export function parseMode(text: string): ModeChange | undefined {
  if (/^[0-7]{3,4}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(",").map((clause) => /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause));
  const changes: ModeChange[] = [];
  for (const clause of clauses) {
    if (clause === null) return undefined;
    const mask = maskOf(clause[1] ?? "");
    for (const [, sign = "", letters = ""] of (clause[2] ?? "").matchAll(/([-+=])([^-+=]*)/g))
      changes.push((mode, isFolder) => {
        // What a folder hands on to new files goes only when it is named, as with GNU chmod.
        const kept = sign === "=" && isFolder && !letters.includes("s") ? mode & 0o6000 : 0;
        return change(mode, mask, sign, bitsOf(letters, mode, isFolder)) | kept;
      });
  }
  return (mode, isFolder) => changes.reduce((bits, apply) => apply(bits, isFolder), mode);
}

/** The same for a chmod on the other side, which would ask its umask: `+x` is `a+x`. */
export function spelledOut(text: string): string {
  return text.replaceAll(/(^|,)(?=[-+=])/g, "$1a");
}

/** The bits that are meant at all. */
function maskOf(who: string): number {
  const all = who === "" || who.includes("a");
  const [user, group, other] = [all || who.includes("u"), all || who.includes("g"), all || who.includes("o")];
  return (user ? 0o4700 : 0) | (group ? 0o2070 : 0) | (other ? 0o1007 : 0);
}

function bitsOf(letters: string, mode: number, isFolder: boolean): number {
  if (letters === "u") return spread((mode >> 6) & 7);
  if (letters === "g") return spread((mode >> 3) & 7);
  if (letters === "o") return spread(mode & 7);
  let bits = 0;
  for (const letter of letters) {
    if (letter === "r") bits |= 0o444;
    else if (letter === "w") bits |= 0o222;
    else if (letter === "x" || (letter === "X" && (isFolder || (mode & 0o111) !== 0))) bits |= 0o111;
    else if (letter === "s") bits |= 0o6000;
    else if (letter === "t") bits |= 0o1000;
  }
  return bits;
}

function spread(three: number): number {
  return three * 0o111;
}

function change(mode: number, mask: number, sign: string, bits: number): number {
  if (sign === "+") return mode | (bits & mask);
  if (sign === "-") return mode & ~(bits & mask);
  return (mode & ~mask) | (bits & mask);
}

/** `drwxr-sr-t` without the first letter. */
export function modeLetters(mode: number): string {
  const three = (bits: number, special: boolean, letter: string): string => {
    const run = (bits & 1) !== 0;
    const last = special ? (run ? letter : letter.toUpperCase()) : run ? "x" : "-";
    return `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${last}`;
  };
  const user = three((mode >> 6) & 7, (mode & 0o4000) !== 0, "s");
  const group = three((mode >> 3) & 7, (mode & 0o2000) !== 0, "s");
  return `${user}${group}${three(mode & 7, (mode & 0o1000) !== 0, "t")}`;
}
