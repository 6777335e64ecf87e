import { expect, it } from "vitest";
import { jsonListener } from "../../../src/ui/json.ts";
import { paper, tell } from "./streams.ts";

it("each event is one line of JSON, in order, the last of kind result", () => {
  const sheet = paper();
  const seen = tell(jsonListener(sheet.write), [
    { kind: "run.start", title: "t", hosts: ["web1"] },
    { kind: "output", host: "web1", stream: "stderr", data: "a\nb\u2028c" },
    { kind: "result", exit: 0, output: { n: 1 } },
  ]);
  const lines = sheet.stdout().split("\n");
  expect(lines.pop()).toBe("");
  expect(lines.map((line) => JSON.parse(line))).toEqual(seen);
  expect(seen.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  expect(lines.at(-1)).toContain('"kind":"result"');
  expect(sheet.stderr()).toBe("");
});
