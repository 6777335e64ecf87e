/** Filter: which of the files below a source are meant by --include and --exclude. Pure. */

export interface Filter {
  /** `path` is below the source; a folder that is not wanted is not looked into. */
  wants(path: string, isFolder: boolean): boolean;
  /** Names, without wildcards, that are left out wherever they stand: the other end may leave them out too. */
  readonly names: readonly string[];
  /** Nothing is left out. */
  readonly takesAll: boolean;
}

/**
 * A pattern without a slash is a name at any depth, one with a slash a path from the source; one that ends in a slash is
 * meant for folders. `*` and `?` stop at a slash, `**` does not. What --include names is taken in any case; when nothing
 * is excluded, only that.
 */
export function createFilter(wish: {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}): Filter {
  const include = wish.include.map(matcherOf);
  const exclude = wish.exclude.map(matcherOf);
  const isOnly = include.length > 0 && exclude.length === 0;
  return {
    wants(path, isFolder) {
      if (path === "" || include.some((matches) => matches(path, isFolder))) return true;
      if (exclude.some((matches) => matches(path, isFolder))) return false;
      return isFolder || !isOnly;
    },
    takesAll: include.length + exclude.length === 0,
    names: include.length > 0 ? [] : wish.exclude.filter((pattern) => !/[*?[\]\\/]/.test(pattern)),
  };
}

function matcherOf(pattern: string): (path: string, isFolder: boolean) => boolean {
  const isForFolders = pattern.endsWith("/");
  const bare = pattern.replace(/\/+$/, "").replace(/^\.\//, "");
  const isPath = bare.includes("/");
  const expression = regExpOf(bare.replace(/^\//, ""));
  return (path, isFolder) => {
    if (isForFolders && !isFolder) return false;
    return expression.test(isPath ? path : path.slice(path.lastIndexOf("/") + 1));
  };
}

/** As a pattern of a single name, or of a whole path. */
export function regExpOf(pattern: string): RegExp {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const rest = pattern.slice(at);
    const char = pattern[at] ?? "";
    const set = /^\[([!^]?)(\]?[^\]]*)\]/s.exec(rest);
    if (rest.startsWith("**/")) {
      source += "(?:.*/)?";
      at += 2;
    } else if (rest.startsWith("**")) {
      source += ".*";
      at += 1;
    } else if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (set !== null) {
      source += `[${set[1] === "" ? "" : "^"}${(set[2] ?? "").replace(/[\\\]^[]/g, "\\$&")}]`;
      at += set[0].length - 1;
    } else source += (char === "\\" ? (pattern[++at] ?? "\\") : char).replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  }
  return new RegExp(`^${source}$`, "su");
}
