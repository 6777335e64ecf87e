import { describe, expect, it } from "vitest";
import { AmiError } from "../../../src/core/errors.ts";
import { fanout } from "../../../src/core/fanout.ts";

const targets = (...names: string[]) => names.map((name) => ({ name }));

/** Work that lasts until it is let go. */
function gates() {
  const open = new Map<string, () => void>();
  const wait = (name: string) => new Promise<void>((resolve) => open.set(name, resolve));
  return { wait, started: () => [...open.keys()], letGo: (name: string) => open.get(name)?.() };
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(new AmiError("run.cancelled", "interrupted"))),
  );

const tick = () => new Promise((resolve) => setImmediate(resolve));

describe("fanout", () => {
  it("gives results in the order of the targets, whoever ends first", async () => {
    const gate = gates();
    const all = fanout(targets("a", "b", "c"), { parallel: 3 }, async ({ name }) => {
      await gate.wait(name);
      return name.toUpperCase();
    });
    await tick();
    for (const name of ["c", "b", "a"]) gate.letGo(name);
    expect((await all).map((fan) => fan.state === "done" && fan.value)).toEqual(["A", "B", "C"]);
  });

  it("works on no more than `parallel` targets at once and starts the next when one ends", async () => {
    const gate = gates();
    const all = fanout(targets("a", "b", "c", "d"), { parallel: 2 }, ({ name }) => gate.wait(name));
    await tick();
    expect(gate.started()).toEqual(["a", "b"]);
    gate.letGo("b");
    await tick();
    expect(gate.started()).toEqual(["a", "b", "c"]);
    gate.letGo("a");
    await tick();
    for (const name of ["c", "d"]) gate.letGo(name);
    expect((await all).map((fan) => fan.state)).toEqual(["done", "done", "done", "done"]);
  });

  it("keeps a failing target as a result and goes on with the others", async () => {
    const all = await fanout(targets("a", "b", "c"), { parallel: 1 }, async ({ name }) => {
      if (name === "b") throw new AmiError("ssh.connect", "refused", { host: name });
      return name;
    });
    expect(all.map((fan) => fan.state)).toEqual(["done", "failed", "done"]);
    expect(all[1]).toMatchObject({ target: { name: "b" }, error: { code: "ssh.connect", message: "refused" } });
  });

  it("keeps work that throws at once, or throws something odd, as a result", async () => {
    const all = await fanout(targets("a", "b"), { parallel: 2 }, ({ name }) => {
      if (name === "a") throw new TypeError("oh");
      return Promise.reject("a word");
    });
    expect(all[0]).toMatchObject({ state: "failed", error: { code: "internal.bug", message: "oh" } });
    expect(all[1]).toMatchObject({ state: "failed", error: { code: "internal.bug", message: "a word" } });
  });

  it("cancels what has not started and aborts what runs", async () => {
    const control = new AbortController();
    const started: string[] = [];
    const all = fanout(targets("a", "b", "c"), { parallel: 1, signal: control.signal }, ({ name }, signal) => {
      started.push(name);
      return untilAborted(signal);
    });
    await tick();
    control.abort();
    expect(await all).toMatchObject([
      { state: "cancelled", started: true, error: { code: "run.cancelled", host: "a" } },
      { state: "cancelled", started: false, ms: 0 },
      { state: "cancelled", started: false },
    ]);
    expect(started).toEqual(["a"]);
  });

  it("starts nothing when the signal was aborted before", async () => {
    const all = await fanout(targets("a"), { parallel: 1, signal: AbortSignal.abort() }, () => Promise.reject("never"));
    expect(all).toMatchObject([{ state: "cancelled", started: false }]);
  });

  it("keeps a value that work returns although it was aborted", async () => {
    const control = new AbortController();
    const all = fanout(targets("a"), { parallel: 1, signal: control.signal }, async () => {
      await tick();
      return "saved";
    });
    control.abort();
    expect(await all).toMatchObject([{ state: "done", value: "saved" }]);
  });

  it("keeps the failure that came while it was being aborted", async () => {
    const control = new AbortController();
    const all = fanout(targets("a"), { parallel: 1, signal: control.signal }, async () => {
      await tick();
      throw new AmiError("ssh.lost", "gone");
    });
    control.abort();
    expect(await all).toMatchObject([{ state: "failed", error: { code: "ssh.lost" } }]);
  });

  it("fails a target that passes its deadline with run.timeout and its name", async () => {
    const all = await fanout(targets("slow", "fast"), { parallel: 2, timeout: 30 }, ({ name }, signal) =>
      name === "fast" ? Promise.resolve("ok") : untilAborted(signal),
    );
    expect(all[0]).toMatchObject({ state: "failed", error: { code: "run.timeout", host: "slow", retry: "unknown" } });
    expect(all[1]).toMatchObject({ state: "done", value: "ok" });
  });

  it("gives up work that does not listen to its signal", async () => {
    const all = await fanout(
      targets("deaf"),
      { parallel: 1, timeout: 10, grace: 10 },
      () => new Promise<never>(() => {}),
    );
    expect(all).toMatchObject([{ state: "failed", error: { code: "run.timeout", host: "deaf" } }]);
  });

  it("counts the deadline of each target from its own start", async () => {
    const all = await fanout(targets("a", "b", "c", "d"), { parallel: 1, timeout: 2000 }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
    });
    expect(all.map((fan) => fan.state)).toEqual(["done", "done", "done", "done"]);
  });

  it("gives nothing for no targets", async () => {
    expect(await fanout([], { parallel: 4 }, () => Promise.resolve(1))).toEqual([]);
  });
});
