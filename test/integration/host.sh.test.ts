/** What posixHost sends runs on every sh: busybox with nothing but its own userland, and bash; dash is most machines' own. */
import { spawn } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostExam } from "../contract/host.ts";
import { needs, where } from "../servers/engines.ts";
import type { Exit } from "../../src/core/host.ts";
import { localHost } from "../../src/core/hosts/local.ts";
import { posixHost } from "../../src/core/hosts/posix.ts";
import { type RawTransport, loginLine } from "../../src/core/hosts/raw.ts";

const excused = {
  pty: "this transport has none",
  limits: "takes more programs at once than a test should start",
  ...(process.getuid?.() === 0 ? {} : { chown: "only root may give files away" }),
};

needs("busybox")("sh of busybox", () => {
  hostExam("busybox sh and userland", () => examinee(["sh", ...applets], "busybox"), excused);
});

needs("bash")("sh of bash", () => {
  hostExam("bash as sh", () => examinee(["sh"], "bash"), excused);
});

/** What the host's programs and the exam itself call. */
const applets =
  "awk cat chgrp chmod chown cp cut dd echo env false grep head id kill ln ls mkdir mktemp mv printf ps pwd rm sed seq sha256sum sleep stat tail tee test touch tr true wc".split(
    " ",
  );

async function examinee(names: readonly string[], program: string) {
  const folder = await mkdtemp(join(tmpdir(), "ami-bin-"));
  const target = where(program);
  if (target === undefined) throw new Error(`there is no ${program}`);
  for (const name of names) await symlink(target, join(folder, name));
  const path = names.length > 1 ? folder : `${folder}:${process.env.PATH}`;
  const witness = localHost();
  const close = async (): Promise<void> => {
    await witness.close();
    await rm(folder, { recursive: true });
  };
  return { host: posixHost(transport(program, path)), witness, close };
}

/** Programs of this machine, but started as on the far side of a login shell. */
function transport(name: string, path: string): RawTransport {
  return {
    name,
    parallel: 64,
    words: "shell",
    leads: true,
    async start(argv) {
      const child = spawn("sh", ["-c", loginLine(argv)], {
        // A login shell counts itself; without that bash would take itself for one.
        env: { ...process.env, SHLVL: "1", PATH: path },
        detached: true,
        stdio: "pipe",
      });
      const exit = Promise.withResolvers<Exit>();
      child.once("exit", (code, signal) =>
        exit.resolve(signal === null ? { code: code ?? 0 } : { signal: signal.replace(/^SIG/, "") }),
      );
      child.once("error", exit.reject);
      const abandon = (): void => [child.stdin, child.stdout, child.stderr].forEach((stream) => stream.destroy());
      return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, exit: exit.promise, abandon };
    },
    close: () => Promise.resolve(),
  };
}
