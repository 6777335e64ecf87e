import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AmiError } from "../../../../src/core/errors.ts";
import { startPatience } from "../../../../src/core/ssh/patience.ts";

describe("patience", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const start = (ms: number, signal?: AbortSignal) => startPatience({ name: "web1", at: "web1:22", ms, signal });

  it("ends when time is up, and says what it waited for", () => {
    const patience = start(1000);
    patience.waitFor("key exchange");
    vi.advanceTimersByTime(999);
    expect(patience.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(patience.signal.reason).toMatchObject({
      code: "ssh.connect",
      host: "web1",
      retry: "yes",
      message: "web1:22 did not answer in time: gave up waiting for key exchange",
    });
  });

  it("gives one step less time than all together, and the rest to the next", () => {
    const first = start(1000);
    first.waitFor("the TCP connection", 400);
    vi.advanceTimersByTime(400);
    expect(first.signal.aborted).toBe(true);

    const second = start(1000);
    second.waitFor("the TCP connection", 400);
    vi.advanceTimersByTime(300);
    second.waitFor("the banner");
    vi.advanceTimersByTime(699);
    expect(second.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(second.signal.aborted).toBe(true);
  });

  it("stands still while a person is asked", async () => {
    const patience = start(1000);
    vi.advanceTimersByTime(600);
    let answer = (): void => undefined;
    const asking = patience.pause(() => new Promise<void>((resolve) => (answer = resolve)));
    vi.advanceTimersByTime(100_000);
    answer();
    await asking;
    vi.advanceTimersByTime(399);
    expect(patience.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(patience.signal.aborted).toBe(true);
  });

  it("an abort is run.cancelled; a reason of ours is kept; after the end nothing happens", () => {
    const control = new AbortController();
    const patience = start(1000, control.signal);
    control.abort();
    expect(patience.signal.reason).toMatchObject({ code: "run.cancelled", host: "web1" });

    const reason = new AmiError("run.timeout", "too late");
    expect(start(1000, AbortSignal.abort(reason)).signal.reason).toBe(reason);

    const later = new AbortController();
    const done = start(1000, later.signal);
    done.end();
    later.abort();
    vi.advanceTimersByTime(10_000);
    expect(done.signal.aborted).toBe(false);
  });
});
