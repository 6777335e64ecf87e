import { describe, expect, it } from "vitest";
import { command } from "../../../../src/commands/system/info.ts";
import { AmiError } from "../../../../src/core/errors.ts";
import { type TestWish, testContext } from "../context.ts";

const refused = new AmiError("ssh.connect", "connection refused", { host: "b" });

describe("system info", () => {
  it("gives one object for one machine, as its schema says, after one program", async () => {
    let programs = 0;
    const open: TestWish["open"] = (_, host) => ({
      ...host,
      exec: (...args: Parameters<typeof host.exec>) => (programs++, host.exec(...args)),
    });
    const { output, exit } = await command.run({}, testContext({ open }));
    expect(programs).toBe(1);
    expect(exit).toBe(0);
    expect(command.output.parse(output)).toMatchObject({ host: "local", os: { name: "linux" } });
    expect(command.text?.(output, { columns: 80 })).toMatch(/^local/);
  });

  it("gives a list for several, the unreachable ones with their reason", async () => {
    const { output, exit } = await command.run(
      {},
      testContext({
        targets: ["a", "b"],
        open: (target, host) => (target.name === "b" ? Promise.reject(refused) : host),
      }),
    );
    expect(exit).toBe(3);
    expect(command.output.parse(output)).toMatchObject([{ host: "a" }, { host: "b", error: { code: "ssh.connect" } }]);
    expect(command.text?.(output, { columns: 80 })).toMatch(/^a[^]*\n\nb\n {2}error {2}connection refused\n$/);
  });

  it("throws the reason of a single one", async () => {
    await expect(command.run({}, testContext({ open: () => Promise.reject(refused) }))).rejects.toBe(refused);
  });

  it("says so when a machine has no shell for it", async () => {
    const open = testContext({
      open: (_, host) => ({
        ...host,
        exec: () =>
          Promise.resolve({
            exit: { code: 1 },
            stdout: Buffer.from("This account is currently not available.\n"),
            stderr: Buffer.alloc(0),
          }),
      }),
    });
    await expect(command.run({}, open)).rejects.toMatchObject({
      code: "host.unsupported",
      message: expect.stringContaining("before it had answered"),
    });
  });
});
