import { expect, it } from "vitest";
import { createEvents } from "../../../src/core/events.ts";
import type { Event } from "../../../src/core/events.ts";
import { createMasking } from "../../../src/core/masking.ts";
import { dots, Secret } from "../../../src/core/secret.ts";

function bus() {
  const masking = createMasking();
  const events = createEvents("r", () => 1);
  const seen: Event[] = [];
  events.subscribe((event) => seen.push(event));
  return { masking, events: masking.events(events), seen };
}

it("secrets become dots in everything that is said, in every form", () => {
  const { masking, events, seen } = bus();
  masking.add(new Secret("s3cret/word"));
  events.emit({
    kind: "step.end",
    host: "web1",
    step: "s",
    title: "set s3cret/word",
    index: 1,
    total: 1,
    outcome: "failed",
    ms: 3,
    changes: ["x s3cret/word y"],
    diff: `+${Buffer.from("s3cret/word").toString("base64")}\n`,
    error: { code: "apply.failed", message: "url http://s3cret%2Fword@h", retry: "no" },
  });
  expect(JSON.stringify(seen)).not.toMatch(/s3cret|czNjcmV0/);
  expect(seen[0]).toMatchObject({ title: `set ${dots}`, changes: [`x ${dots} y`], ms: 3, index: 1 });
  expect(masking.text("say s3cret/word")).toBe(`say ${dots}`);
});

it("output of programs is data and stays as it is", () => {
  const { masking, events, seen } = bus();
  masking.add(new Secret("s3cret"));
  events.emit({ kind: "output", host: "web1", stream: "stdout", data: "s3cret" });
  expect(seen[0]).toMatchObject({ data: "s3cret" });
});

it("without secrets events pass untouched", () => {
  const { events, seen } = bus();
  const output = { deep: [new Date(0)] };
  events.emit({ kind: "result", exit: 0, output });
  expect(seen[0]).toMatchObject({ kind: "result" });
  expect(seen[0]?.kind === "result" ? seen[0].output : undefined).toBe(output);
});
