import { describe, expect, it } from "vitest";
import { createLimit } from "../../../src/core/limit.ts";

describe("limit", () => {
  it("lets so many in at once, in order, whatever becomes of them", async () => {
    const limit = createLimit(2);
    let now = 0;
    let most = 0;
    const order: number[] = [];
    const results = await Promise.allSettled(
      [0, 1, 2, 3, 4, 5].map((i) =>
        limit(undefined, async () => {
          order.push(i);
          most = Math.max(most, ++now);
          await new Promise((resolve) => setImmediate(resolve));
          now--;
          if (i % 2 === 1) throw new Error("no");
        }),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
    ]);
    expect([most, now, order]).toEqual([2, 0, [0, 1, 2, 3, 4, 5]]);
  });

  it("who waits may leave the line, and the place goes to the next", async () => {
    const limit = createLimit(1);
    const first = Promise.withResolvers<void>();
    const control = new AbortController();
    const a = limit(undefined, () => first.promise);
    const b = limit(control.signal, () => Promise.resolve("b"));
    const c = limit(undefined, () => Promise.resolve("c"));
    control.abort();
    await expect(b).rejects.toMatchObject({ code: "run.cancelled" });
    await expect(limit(control.signal, () => Promise.resolve())).rejects.toMatchObject({ code: "run.cancelled" });
    first.resolve();
    await a;
    expect(await c).toBe("c");
  });
});
