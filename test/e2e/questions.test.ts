/** Questions: asked at a terminal, answered beforehand by --yes, refused where nobody can answer. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { needs } from "../servers/engines.ts";
import { type Home, ami, inventHome, program } from "./run.ts";
import { openTerminal } from "./terminal.ts";

let home: Home;
beforeEach(async () => {
  home = await inventHome();
  await mkdir(join(home.dir, "full"));
  await writeFile(join(home.dir, "full", "precious"), "x");
  await writeFile(
    join(home.dir, "gone.yaml"),
    `resources:\n  - directory: ${join(home.dir, "full")}\n    state: absent\n`,
  );
});
afterEach(() => home.remove());

const isThere = async (): Promise<boolean> => (await readdir(home.dir)).includes("full");

describe("a question without a terminal", () => {
  it("is refused, says how to answer it, and nothing is lost", async () => {
    const { code, stderr } = await ami(home, ["provision", "--blueprint", "gone.yaml"]);
    expect(code).not.toBe(0);
    expect(stderr).toContain("--yes");
    expect(await isThere()).toBe(true);
  });

  it("is answered by --yes", async () => {
    const { code } = await ami(home, ["provision", "--blueprint", "gone.yaml", "--yes"]);
    expect(code).toBe(0);
    expect(await isThere()).toBe(false);
  });
});

needs("tmux")("a question at a terminal", () => {
  const words = ["provision", "--blueprint", "gone.yaml"];

  it("is answered with y, and the tree is drawn around it", async () => {
    const terminal = await openTerminal(home, [...program, ...words]);
    try {
      await terminal.sees(/full.*\(y\/N\)/);
      await terminal.type("y");
      await terminal.press("Enter");
      const screen = await terminal.sees(/exit: 0/);
      expect(screen).toMatch(/✔ provision gone/);
      expect(screen).toMatch(/✔ directory .*full/);
      expect(screen).toMatch(/^local +1 +0 +0/m);
      expect(await isThere()).toBe(false);
    } finally {
      await terminal.close();
    }
  });

  it("answered with no is a refusal", async () => {
    const terminal = await openTerminal(home, [...program, ...words]);
    try {
      await terminal.sees(/\(y\/N\)/);
      await terminal.press("Enter");
      const screen = await terminal.sees(/exit: [1-9]/);
      expect(screen).toMatch(/refused/);
      expect(await isThere()).toBe(true);
    } finally {
      await terminal.close();
    }
  });

  it("answered with Ctrl-C ends everything with 130", async () => {
    const terminal = await openTerminal(home, [...program, ...words]);
    try {
      await terminal.sees(/\(y\/N\)/);
      await terminal.press("C-c");
      await terminal.sees(/exit: 130/);
      expect(await isThere()).toBe(true);
    } finally {
      await terminal.close();
    }
  });
});
