import { describe, expect, it } from "vitest";
import { AmiError, type Retry } from "../../../src/core/errors.ts";
import { mayRetry, waitBefore, withRetries } from "../../../src/core/retry.ts";

const refused = (retry: Retry = "yes") => new AmiError("ssh.connect", "connection refused", { retry });

describe("what may be tried again", () => {
  it.each([
    ["a connection that did not come about", refused("yes"), true],
    ["a connection that never will", refused("no"), false],
    ["one that was lost when something may have run", new AmiError("ssh.lost", "gone", { retry: "unknown" }), false],
    ["a failure of another kind", new AmiError("host.file", "no space", { retry: "yes" }), false],
    ["a bug", new AmiError("internal.bug", "oh"), false],
  ])("%s", (_, error, may) => {
    expect(mayRetry(error)).toBe(may);
  });
});

describe("withRetries", () => {
  const random = () => 0;
  it("gives the value of the first attempt that succeeds and tells of those before", async () => {
    const told: number[] = [];
    const value = await withRetries({ retries: 1, random, onRetry: (_, attempt) => told.push(attempt) }, (attempt) =>
      attempt === 1 ? Promise.reject(refused()) : Promise.resolve(`attempt ${attempt}`),
    );
    expect(value).toBe("attempt 2");
    expect(told).toEqual([1]);
  });

  it("rejects with the last error when all attempts fail", async () => {
    let attempts = 0;
    const all = withRetries({ retries: 1, random }, () => {
      attempts++;
      return Promise.reject(refused());
    });
    await expect(all).rejects.toMatchObject({ code: "ssh.connect" });
    expect(attempts).toBe(2);
  });

  it("never repeats what may have run", async () => {
    let attempts = 0;
    const all = withRetries({ retries: 5, random }, () => {
      attempts++;
      return Promise.reject(new AmiError("ssh.lost", "gone", { retry: "unknown" }));
    });
    await expect(all).rejects.toMatchObject({ code: "ssh.lost" });
    expect(attempts).toBe(1);
  });

  it("stops waiting when it is aborted", async () => {
    const control = new AbortController();
    const all = withRetries(
      { retries: 5, signal: control.signal, random: () => 1, onRetry: () => control.abort() },
      () => Promise.reject(refused()),
    );
    await expect(all).rejects.toThrow(/abort/i);
  });
});

it("waits twice as long each time, half of it by chance, and never more than 15 s", () => {
  expect([1, 2, 3, 20].map((attempt) => waitBefore(attempt, 0))).toEqual([250, 500, 1000, 7500]);
  expect([1, 2, 3, 20].map((attempt) => waitBefore(attempt, 1))).toEqual([500, 1000, 2000, 15_000]);
});
