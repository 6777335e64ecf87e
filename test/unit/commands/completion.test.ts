import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect } from "vitest";
import { command } from "../../../src/commands/completion.ts";
import { has } from "../../servers/engines.ts";
import { testContext } from "./context.ts";

const shells = ["bash", "zsh", "fish"] as const;

describe("completion scripts", (it) => {
  it.for(shells)("%s reads it", async (shell, { skip }) => {
    skip(!has(shell), `${shell} is not installed`);
    const { output } = await command.run({ shell }, testContext());
    const script = command.text?.(output, { columns: 80 }) ?? "";
    const file = join(await mkdtemp(join(tmpdir(), "ami-completion-")), shell);
    await writeFile(file, script);
    const { status, stderr } = spawnSync(shell, ["-n", file], { encoding: "utf8" });
    await rm(dirname(file), { recursive: true });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(script).toContain("ami-node __complete");
  });
});
