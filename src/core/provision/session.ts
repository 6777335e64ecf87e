/**
 * Session: one long-lived `sh` on a host that takes program after program over one channel; one round trip each.
 * A lost session is reported as AmiError `ssh.lost` (or whatever the host says) by the program under way.
 */
import { randomBytes } from "node:crypto";
import { AmiError, asAmiError } from "../errors.ts";
import type { Host, Running } from "../host.ts";
import { createFrames, type Frame } from "./frames.ts";

export interface Session {
  readonly host: Host;
  readonly nonce: string;
  /** Sends a program and calls back for each frame, until `until` says that this was the last one. */
  run(
    program: string,
    until: (frame: Frame) => boolean,
    onFrame?: (frame: Frame, bytes: number) => void,
  ): Promise<void>;
  /** Programs sent so far: each is one round trip. */
  readonly programs: number;
  close(): Promise<void>;
}

/** `nonce`: of an earlier session whose run is attached to again. */
export async function openSession(
  host: Host,
  signal: AbortSignal,
  nonce = randomBytes(9).toString("hex"),
): Promise<Session> {
  const shell = await host.spawn(["sh"], { signal });
  return new ShellSession(host, nonce, shell);
}

class ShellSession implements Session {
  readonly host: Host;
  readonly nonce: string;
  programs = 0;
  readonly #shell: Running;
  readonly #frames: ReturnType<typeof createFrames>;
  #stderr = "";
  #listener: ((frame: Frame) => void) | undefined;
  #ended: Promise<AmiError>;

  constructor(host: Host, nonce: string, shell: Running) {
    this.host = host;
    this.nonce = nonce;
    this.#shell = shell;
    this.#frames = createFrames(nonce);
    shell.stdout.on("data", (chunk: Buffer) => {
      for (const frame of this.#frames.push(chunk)) this.#listener?.(frame);
    });
    shell.stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString("utf8")).slice(-4000);
    });
    // Errors of the pipe show as the end of the shell.
    shell.stdin.on("error", () => {});
    this.#ended = shell.exit.then(
      (exit) =>
        new AmiError(
          "ssh.lost",
          `the shell on ${host.name} ended (${exit.signal ?? `exit code ${exit.code}`}) in the middle of a program${this.#words()}`,
          {
            host: host.name,
            retry: "unknown",
          },
        ),
      (error: unknown) => asAmiError(error),
    );
  }

  async run(
    program: string,
    until: (frame: Frame) => boolean,
    onFrame?: (frame: Frame, bytes: number) => void,
  ): Promise<void> {
    this.programs++;
    const done = new Promise<void>((resolve, reject) => {
      this.#listener = (frame) => {
        try {
          onFrame?.(frame, frameBytes(frame, this.nonce));
          if (until(frame)) resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
    });
    this.#shell.stdin.write(program);
    try {
      await Promise.race([
        done,
        this.#ended.then((error) => {
          throw error;
        }),
      ]);
    } finally {
      this.#listener = undefined;
    }
  }

  async close(): Promise<void> {
    this.#shell.stdin.end();
    await Promise.race([this.#ended, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
  }

  #words(): string {
    return this.#stderr.trim() === "" ? "" : `: ${this.#stderr.trim()}`;
  }
}

/** How long a frame was on the wire: what a run's log grew by. */
function frameBytes(frame: Frame, nonce: string): number {
  return Buffer.byteLength(`\n@${nonce} ${[frame.word, ...frame.args].join(" ")}\n`) + frame.body.length;
}
