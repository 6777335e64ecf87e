/** Put by sftp where somebody knew the temporary name and was there first. In a file of its own: chance is none in it. */
import { mkdir, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, it, vi } from "vitest";
import { openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { needs } from "../servers/engines.ts";
import { startSshd } from "../servers/sshd.ts";

vi.mock("node:crypto", async (importActual) => {
  const actual = await importActual<typeof import("node:crypto")>();
  // The name of a temporary file is the one thing of eight bytes.
  const randomBytes = (size: number): Buffer => (size === 8 ? Buffer.alloc(8, 0xab) : actual.randomBytes(size));
  return { ...actual, randomBytes };
});

needs("sshd")("a planted link", () => {
  it("is not written through", async () => {
    const server = await startSshd();
    const hosts = openHosts({ ssh: { configFile: server.configFile, env: {} } });
    try {
      const host = await hosts.open(parseTarget("box"));
      const dir = join(server.dir, "shared");
      await mkdir(dir);
      const victim = join(server.dir, "victim");
      await writeFile(victim, "precious");
      const planted = `.ami-${"ab".repeat(8)}`;
      await symlink(victim, join(dir, planted));
      const putting = host.put(Readable.from([Buffer.alloc(100_000)], { objectMode: false }), join(dir, "file"));
      await expect(putting).rejects.toMatchObject({ code: "host.file" });
      expect(await readFile(victim, "utf8")).toBe("precious");
      // It is not ours to remove either.
      expect(await readdir(dir)).toEqual([planted]);
    } finally {
      await hosts.close();
      await server.stop();
    }
  });
});
