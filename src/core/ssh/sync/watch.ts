/** Watch: the system tells when something in a folder changes: of each folder by itself, or of all below one. */
import { type FSWatcher, statSync, watch } from "node:fs";
import { join } from "node:path";
import { systemCode, whyUnreadable } from "../../unreadable.ts";

export interface Watchers {
  /** Watches the folder that is there now; the one that was there before under this name no more. */
  keep(folder: string): void;
  stop(folder: string): void;
  /** Why nothing is told; undefined: it is. */
  blind(): string | undefined;
  close(): void;
}

/**
 * `each`: of each folder by itself, as inotify does. Node's own way to watch all below a folder begins to watch a new one
 * some time after it was made, and what happens until then is never told.
 */
export function createWatchers(root: string, each: boolean, told: (folder: string) => void): Watchers {
  const watchers = new Map<string, { readonly watcher: FSWatcher; readonly id: string }>();
  let blind: string | undefined;
  const stop = (folder: string): void => {
    watchers.get(folder)?.watcher.close();
    watchers.delete(folder);
  };
  const close = (): void => {
    for (const folder of watchers.keys()) stop(folder);
  };
  return {
    stop,
    close,
    blind: () => blind,
    keep(folder) {
      const full = join(root, folder);
      const id = idOf(full);
      if (id === undefined || watchers.get(folder)?.id === id || blind !== undefined) return;
      stop(folder);
      try {
        const watcher = watch(full, { recursive: !each }, () => told(folder));
        watcher.on("error", () => {
          stop(folder);
          told("");
        });
        watchers.set(folder, { watcher, id });
      } catch (error) {
        const code = systemCode(error);
        // It is gone already, or not ours to look into: who reads it will see.
        if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES") return;
        blind =
          code === "ENOSPC" || code === "EMFILE"
            ? "there are more folders than the system tells about (fs.inotify.max_user_watches)"
            : whyUnreadable(error);
        close();
      }
    },
  };
}

function idOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}
