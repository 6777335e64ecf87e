/** The accounts that tests make: leftovers of runs that were killed are taken away by the next. */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { afterEach, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Account, createAccount } from "../servers/sshd.ts";

needs(
  "root",
  "linux",
  "useradd",
)("accounts for tests", () => {
  const made: Account[] = [];
  afterEach(async () => {
    for (const account of made.splice(0)) await account.remove();
  });
  const names = async (): Promise<string[]> =>
    (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":")[0] ?? "");

  it("of a process that is gone are swept, also when another one has its number now", async () => {
    // Process 1 is there, and did not begin at the first tick that ends in our own number.
    const stale = `amit1x${process.pid}x1`;
    execFileSync("useradd", ["--no-create-home", "--user-group", stale]);
    made.push(await createAccount());
    expect(await names()).not.toContain(stale);
  });

  it("of a process that still runs are left alone", async () => {
    made.push(await createAccount(), await createAccount());
    expect(await names()).toEqual(expect.arrayContaining(made.map(({ name }) => name)));
  });
});
