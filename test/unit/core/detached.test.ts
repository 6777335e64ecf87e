import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createComeback } from "../../../src/core/detached.ts";
import { AmiError } from "../../../src/core/errors.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "setTimeout"] }));
afterEach(() => void vi.useRealTimers());

const lost = new AmiError("ssh.lost", "the connection was lost");
const options = { signal: new AbortController().signal, isThere: true };

it("goes on after a night's sleep of this machine, whose clock then has moved on", async () => {
  const comeback = createComeback(options);
  await comeback.after(lost);
  vi.setSystemTime(Date.now() + 8 * 3_600_000);
  await expect(comeback.after(lost)).resolves.toBeUndefined();
});
