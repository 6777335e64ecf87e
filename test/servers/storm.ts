/** Storm: a folder in which everything happens at once, and what is in it afterwards. */
import { execFileSync } from "node:child_process";
import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Kinds, modes, times of files, where links lead, and what is in files. */
export function treeText(root: string, leaveOut = "nothing"): string {
  const program = `cd "$1" && find . ! -path './.ami*' ! -name "$2" \\( -type f -printf '%p %m %Ts\\n' -o -type d -printf '%p %m\\n' -o -printf '%p %l\\n' \\) | LC_ALL=C sort; find . -type f ! -name "$2" -exec sha256sum {} + | LC_ALL=C sort -k2`;
  return execFileSync("sh", ["-c", program, "sh", root, leaveOut], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: ["ignore", "pipe", "ignore"],
  });
}

/** Numbers below 1 that are the same each time. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Makes, writes, renames and deletes files, links and folders without a pause. */
export function storm(root: string, steps: number, random: () => number): void {
  const pick = (many: number): number => Math.floor(random() * many);
  const path = (): string => {
    const parts = Array.from({ length: 1 + pick(4) }, () => `${"abcdefgh"[pick(8)]}${pick(3)}`);
    return join(root, ...parts);
  };
  for (let step = 0; step < steps; step++) {
    const [one, other] = [path(), path()];
    const kind = pick(10);
    try {
      if (kind < 3) writeFileSync(one, String(random()).repeat(1 + pick(50)));
      else if (kind < 5) mkdirSync(one, { recursive: true });
      else if (kind < 6) symlinkSync("../a", one);
      else if (kind < 8) renameSync(one, other);
      else if (kind < 9) rmSync(one, { recursive: true, force: true });
      else if (!lstatSync(one).isSymbolicLink()) chmodSync(one, pick(2) === 0 ? 0o755 : 0o750);
    } catch {
      // Not every step can be taken.
    }
  }
}
