import { expect, test } from "vitest";
import { createQueue } from "../../../src/core/limit.ts";

test("lets so many in, the rest in order", async () => {
  const queue = createQueue(2);
  const order: number[] = [];
  const enter = (i: number): Promise<void> => queue.enter().then(() => void order.push(i));
  const all = [1, 2, 3, 4].map(enter);
  await Promise.all(all.slice(0, 2));
  expect(order).toEqual([1, 2]);
  queue.leave();
  await all[2];
  expect(order).toEqual([1, 2, 3]);
  queue.leave();
  await all[3];
  expect(order).toEqual([1, 2, 3, 4]);
});

test("who gives up waiting takes no place", async () => {
  const queue = createQueue(1);
  await queue.enter();
  const control = new AbortController();
  const second = queue.enter(control.signal);
  const third = queue.enter();
  control.abort();
  await expect(second).rejects.toMatchObject({ code: "run.cancelled" });
  queue.leave();
  await third;
  queue.leave();
  await queue.enter();
});

test("an abort after one's turn changes nothing", async () => {
  const queue = createQueue(1);
  const control = new AbortController();
  await queue.enter(control.signal);
  control.abort();
  queue.leave();
  await queue.enter();
  await expect(queue.enter(AbortSignal.abort())).rejects.toMatchObject({ code: "run.cancelled" });
});
