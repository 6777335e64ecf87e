import { spawn } from "node:child_process";
import { expect, it } from "vitest";
import { processMark } from "../../../src/core/process-mark.ts";

it("a process keeps its mark, another has another, one that is gone has none", async () => {
  const own = await processMark(process.pid);
  expect(own).toBeTruthy();
  expect(await processMark(process.pid)).toBe(own);
  const child = spawn("sleep", ["100"]);
  await new Promise((resolve) => child.once("spawn", resolve));
  const pid = child.pid ?? 0;
  const mark = await processMark(pid);
  expect(mark).toBeTruthy();
  expect(mark).not.toBe(own);
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  expect(await processMark(pid)).toBeUndefined();
});
