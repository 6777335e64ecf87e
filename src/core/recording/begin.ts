/** Begin: starts the recording of a terminal, where it was asked for or in a place of its own. */
import { dirname } from "node:path";
import { makeFolder } from "../folder.ts";
import { AmiError } from "../errors.ts";
import type { Terminal } from "../host.ts";
import { whyUnreadable } from "../unreadable.ts";
import { recordingPath } from "./place.ts";
import { type Recorder, startRecorder } from "./record.ts";

export interface RecordingWish {
  /** Without it: a new file in `folder`, which is made for us only (0700). */
  readonly file?: string | undefined;
  readonly folder: string;
  readonly host: string;
  readonly terminal: Pick<Terminal, "columns" | "rows" | "term">;
  readonly command?: string | undefined;
}

/** Throws `recording.file`, also for a file that is there already. */
export function beginRecording({ file: named, folder, host, terminal, command }: RecordingWish): Recorder {
  const file = named ?? recordingPath(folder, host);
  try {
    if (named === undefined) makeFolder(dirname(file));
  } catch (cause) {
    throw new AmiError("recording.file", `${folder} cannot be made: ${whyUnreadable(cause)}`, { cause });
  }
  const { columns, rows, term } = terminal;
  return startRecorder(file, {
    columns,
    rows,
    term,
    timestamp: Math.floor(Date.now() / 1000),
    command,
    title: host,
  });
}
