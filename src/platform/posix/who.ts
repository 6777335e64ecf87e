/** Who: who is logged in, from the `who` of coreutils, busybox, BSD and macOS. */

export interface LoggedIn {
  name: string;
  terminal?: string;
  from?: string;
  since?: string;
}

/**
 * `root pts/0 2026-11-20 19:26 (192.0.2.7)` (coreutils), `root pts/0 Nov 20 19:26 (host)` (BSD, macOS),
 * `root pts/0 00:01 Nov 20 19:26:13 192.0.2.7` under a heading (busybox: idle time before, address bare).
 */
export function readWho(lines: readonly string[]): LoggedIn[] {
  const busybox = /^USER\s+TTY\s+IDLE/.test(lines[0] ?? "");
  return lines.flatMap((line): LoggedIn[] => {
    const [name, terminal, ...rest] = line.trim().split(/\s+/);
    if (name === undefined || (busybox && name === "USER")) return [];
    const words = busybox ? rest.slice(1) : rest;
    // The first word that is neither a month, a day, a date nor a time is where they come from.
    const end = words.findIndex(
      (word) => !/^(?:[A-Z][a-z]{2}|\d{1,2}|\d{4}-\d{2}-\d{2}|\d{1,2}:\d{2}(?::\d{2})?)$/.test(word),
    );
    const since = words.slice(0, end < 0 ? undefined : end).join(" ");
    const from = end < 0 ? "" : (words[end] ?? "").replace(/^\((.*)\)$/, "$1");
    return [
      {
        name,
        ...(terminal === undefined ? {} : { terminal }),
        ...(from === "" ? {} : { from }),
        ...(since === "" ? {} : { since }),
      },
    ];
  });
}
