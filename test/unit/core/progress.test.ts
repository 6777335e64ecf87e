import { expect, it } from "vitest";
import { createEvents } from "../../../src/core/events.ts";
import { createProgress } from "../../../src/core/progress.ts";

it("says how fast it goes and how long it will take", () => {
  const events = createEvents("test");
  const told: unknown[] = [];
  events.subscribe((event) => void (event.kind === "progress" && told.push([event.done, event.rate, event.eta])));
  let clock = 0;
  const tell = createProgress(events, { host: "h", title: "f", total: 100_000 }, () => clock);
  for (const done of [0, 1000, 2000, 2000]) {
    tell(done);
    clock += 1000;
  }
  expect(told).toEqual([
    [0, undefined, undefined],
    [1000, 1000, 99],
    [2000, 1000, 98],
    [2000, 667, 147],
  ]);
});

it("tells the first and the last, and a few between", () => {
  const events = createEvents("test");
  const told: number[] = [];
  events.subscribe((event) => void (event.kind === "progress" && told.push(event.done)));
  let clock = 0;
  const tell = createProgress(events, { host: "h", title: "f", total: 1000 }, () => clock);
  for (let done = 10; done <= 1000; done += 10) {
    clock += 10;
    tell(done);
  }
  expect(told).toEqual([10, 210, 410, 610, 810, 1000]);
});
