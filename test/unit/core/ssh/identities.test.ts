import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createKeyRing } from "../../../../src/core/ssh/identities.ts";

it("an agent that takes the call and says nothing is a remark, once for all", async () => {
  const dir = await mkdtemp(join(tmpdir(), "ami-agent-"));
  const agent = join(dir, "silent");
  const calls: unknown[] = [];
  const server = createServer((socket) => void calls.push(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => server.listen(agent, resolve));
  try {
    const ring = createKeyRing({}, 50);
    const choice = {
      explicitFiles: [],
      identityFiles: [],
      identityFilesExplicit: false,
      certificateFiles: [],
      identitiesOnly: false,
      agent,
    };
    const answer = { list: [], problems: [`the agent at ${agent} does not answer (nothing was heard for 50 ms)`] };
    expect(await Promise.all([ring.identities(choice), ring.identities(choice)])).toEqual([answer, answer]);
    // Who waited so briefly may have given up before the call was taken.
    await expect.poll(() => calls.length, { timeout: 10_000 }).toBe(1);
  } finally {
    server.close();
    await rm(dir, { recursive: true });
  }
});
