import { expect, it } from "vitest";
import { createPace, parseRate } from "../../../../../src/core/ssh/transfer/pace.ts";

it("reads rates", () => {
  expect(["100", "500K", "10M", "1.5m", "2GiB/s", "1MB/s"].map(parseRate)).toEqual([
    100, 512_000, 10_485_760, 1_572_864, 2_147_483_648, 1_048_576,
  ]);
  expect(["", "fast", "-1", "0", "1T"].map(parseRate)).toEqual(Array(5).fill(undefined));
});

it("holds back to the rate, however many take part", async () => {
  const pace = createPace(1_000_000);
  const { signal } = new AbortController();
  const begun = performance.now();
  await Promise.all([1, 2, 3].map(async () => pace?.(100_000, signal)));
  expect(performance.now() - begun).toBeGreaterThan(150);
});
