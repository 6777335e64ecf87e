import { expect, it } from "vitest";
import { probe } from "../../../../../src/core/provision/probes/stat.ts";

const read = (output: string, ...paths: string[]) =>
  probe.parse(
    Buffer.from(output),
    paths.map((path) => ({ kind: "stat", path }) as const),
  );

it("names may hold spaces", () => {
  expect(read("81a4 1000 1001 7 joe:domain users:/a b\n", "/a b")).toEqual([
    {
      state: "present",
      type: "file",
      mode: "644",
      uid: 1000,
      gid: 1001,
      owner: "joe",
      group: "domain users",
      size: 7,
    },
  ]);
});

it("a complaint belongs to the path that was asked in its turn, however the name is written there", () => {
  const output = `stat: cannot statx '/d/it'\\''s': No such file or directory
41ed 0 0 4096 root:root:/
stat: cannot statx '/closed/x': Permission denied
stat: cannot statx '/d/sch'$'\\303\\266''n': No such file or directory
`;
  const answers = read(output, "/d/it's", "/", "/closed/x", "/d/schön");
  expect(answers.map((stat) => stat.state)).toEqual(["absent", "present", "unknown", "absent"]);
});
