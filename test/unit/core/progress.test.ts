import { expect, it } from "vitest";
import { createEvents } from "../../../src/core/events.ts";
import { createProgress } from "../../../src/core/progress.ts";

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
