/** ssh run and ssh jobs as a user has them: started, left alone, attached to, stopped. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Sshd, startSshd } from "../servers/sshd.ts";
import { type Home, ami, exitOf, inventHome, start } from "./run.ts";

/** Each of these tests starts the program several times, which takes its time on a busy machine. */
const patience = 120_000;

needs("sshd")("jobs", () => {
  let home: Home;
  let box: Sshd;
  beforeAll(async () => {
    [home, box] = await Promise.all([inventHome(), startSshd()]);
  });
  afterAll(async () => {
    await box?.stop();
    await home?.remove();
  });
  const on = (verb: string, ...words: readonly string[]): readonly string[] => [
    "ssh",
    ...verb.split(" "),
    "--ssh-config",
    box.configFile,
    ...words,
  ];

  it.concurrent(
    "goes on when its client is killed, and is attached to and listed by its id",
    async () => {
      const go = join(box.dir, "go");
      const line = `echo begun; until [ -e ${go} ]; do sleep 0.05; done; echo done; kill -TERM $$`;
      const client = start(home, on("run", "box", "--", line));
      const ended = exitOf(client);
      let said = "";
      client.stderr?.on("data", (bytes: Buffer) => (said += bytes.toString()));
      client.stdout?.once("data", () => client.kill("SIGKILL"));
      await ended;
      const id = /job (\S+)/.exec(said)?.[1] ?? "";
      const listed = await ami(home, on("jobs list", "box"));
      expect(listed.stdout).toMatch(new RegExp(`^${id} +box +running .* 6 B +echo begun`, "m"));
      await writeFile(go, "");
      const attached = await ami(home, on("jobs attach", id, "--target", "box"));
      expect([attached.code, attached.stdout]).toEqual([143, "begun\ndone\n"]);
      const logs = await ami(home, on("jobs logs", "-f", id, "--target", "box"));
      expect([logs.code, logs.stdout]).toEqual([0, "begun\ndone\n"]);
      const json = JSON.parse((await ami(home, on("jobs list", "box", "--json"))).stdout);
      expect(json.jobs.find((job: { id: string }) => job.id === id)).toMatchObject({
        host: "box",
        state: "ended",
        exit: 143,
        signal: "TERM",
        stdout: 11,
        stderr: 0,
      });
    },
    patience,
  );

  it.concurrent(
    "shows what a command says, passes its exit code on, and gives it Ctrl-C",
    async () => {
      const ran = await ami(home, on("run", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 7"));
      expect([ran.code, ran.stdout, ran.stderr]).toEqual([
        7,
        "out\n",
        expect.stringMatching(/^box: job [a-z2-9]{8}\nerr\n$/),
      ]);
      const line = `trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.05; done`;
      expect(await interrupted(home, on("run", "box", "--", line))).toMatchObject({
        code: 130,
        stdout: "up\ncaught\n",
        stderr: expect.stringContaining("Ctrl-C was passed on"),
      });
    },
    patience,
  );

  it.concurrent(
    "is left alone by who only looks, is not removed while it runs, and is stopped",
    async () => {
      const detached = await ami(home, on("run", "box", "--detach", "--", "echo up; exec sleep 600"));
      expect(detached.stdout).toMatch(/^[a-z2-9]{8}\n$/);
      const id = detached.stdout.trim();
      expect(await interrupted(home, on("jobs attach", id, "--target", "box"))).toMatchObject({
        code: 130,
        stdout: "up\n",
        stderr: expect.stringContaining(`attach again with: ami-node ssh jobs attach ${id} --target box`),
      });
      const refused = await ami(home, on("jobs rm", id, "--yes", "--target", "box"));
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("is running")]);
      const stopped = await ami(home, on("jobs stop", id, "--target", "box"));
      expect([stopped.code, stopped.stderr]).toEqual([0, `box: job ${id}: stopped, by TERM\n`]);
      const removed = await ami(home, on("jobs rm", id, "--yes", "--target", "box"));
      expect([removed.code, removed.stdout]).toEqual([0, "box: 1 removed\n"]);
    },
    patience,
  );
});

/** Ctrl-C as soon as something is said. */
async function interrupted(
  home: Home,
  words: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const client = start(home, words);
  const ended = exitOf(client);
  let stdout = "";
  let stderr = "";
  client.stderr?.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
  client.stdout?.on("data", (bytes: Buffer) => {
    if (stdout === "") client.kill("SIGINT");
    stdout += bytes.toString();
  });
  return { code: await ended, stdout, stderr };
}
