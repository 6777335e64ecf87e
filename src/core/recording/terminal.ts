/** Terminal: one whose talk is recorded on its way through. */
import { PassThrough, Writable } from "node:stream";
import type { Terminal } from "../host.ts";
import type { Recorder } from "./record.ts";

/** `keys`: what is typed is recorded too; passwords are among it. */
export function recordedTerminal(terminal: Terminal, recorder: Recorder, { keys }: { keys: boolean }): Terminal {
  const stdout = new Writable({
    write(bytes: Buffer, _encoding, done) {
      recorder.output(bytes);
      terminal.stdout.write(bytes, () => done());
    },
  });
  return {
    stdin: keys ? heard(terminal, recorder) : terminal.stdin,
    stdout,
    columns: terminal.columns,
    rows: terminal.rows,
    term: terminal.term,
    onResize: (listener) =>
      terminal.onResize((columns, rows) => {
        recorder.resize(columns, rows);
        listener(columns, rows);
      }),
  };
}

function heard({ stdin }: Terminal, recorder: Recorder): PassThrough {
  const through = new PassThrough();
  stdin.on("data", (bytes: Buffer) => {
    recorder.input(bytes);
    through.write(bytes);
  });
  stdin.once("end", () => through.end());
  return through;
}
