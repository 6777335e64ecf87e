/** A small command that has one of everything, for the tests of the door. */
import { z } from "zod";
import { defineCommand } from "../../../src/core/command.ts";
import type { Command } from "../../../src/core/command.ts";

const input = z.strictObject({
  file: z.string().min(1).describe("what to copy"),
  places: z.array(z.string()).default([]).describe("where to"),
  check: z.boolean().default(false).describe("change nothing"),
  backup: z.boolean().default(true).describe("keep the old file"),
  copies: z.number().int().min(1).max(100).default(1).describe("how many"),
  level: z.enum(["low", "high"]).optional().describe("how hard to try"),
  skip: z.array(z.string()).default([]).describe("leave out"),
  ports: z.array(z.number()).optional().describe("ports to use"),
  env: z.record(z.string(), z.string()).default({}).describe("a variable"),
  runAs: z.string().optional().describe("whom to be"),
  token: z.string().describe("who asks"),
});

export const copy: Command = defineCommand({
  name: "box copy",
  summary: "Copy a file into boxes",
  description: "Each box gets one.",
  examples: [{ line: "ami-node box copy a.txt b1 b2 --token x", says: "into two boxes" }],
  input,
  args: { positional: ["file", "places"], short: { check: "C", skip: "x" }, values: { file: "FILE", places: "BOX" } },
  output: z.object({}),
  effect: "change",
  shows: "events",
  targets: "local",
  exits: { 9: "a box is full" },
  run: () => Promise.resolve({ output: {} }),
});

export const quiet: Command = defineCommand({
  name: "box list",
  summary: "List boxes.",
  examples: [],
  input: z.strictObject({}),
  args: {},
  output: z.object({}),
  effect: "read",
  shows: "answer",
  targets: "none",
  run: () => Promise.resolve({ output: {} }),
});

export const visit: Command = defineCommand({
  name: "box visit",
  summary: "Look into a box",
  examples: [],
  input: z.strictObject({
    corner: z.string().optional().describe("which corner"),
    again: z.string().optional().describe("so often"),
  }),
  args: {
    targetWord: true,
    positional: ["corner"],
    values: { corner: "CORNER", again: "TIME" },
    alone: { again: "10s" },
  },
  output: z.object({}),
  effect: "read",
  shows: "events",
  targets: "settings",
  run: () => Promise.resolve({ output: {} }),
});

export const visitAll: Command = defineCommand({
  name: "box visit-all",
  summary: "Look into boxes",
  examples: [],
  input: z.strictObject({ corner: z.string().optional().describe("which corner") }),
  args: { targetWord: "many", values: { corner: "CORNER" } },
  output: z.object({}),
  effect: "read",
  shows: "events",
  targets: "settings",
  run: () => Promise.resolve({ output: {} }),
});

export const inside: Command = defineCommand({
  name: "box run",
  summary: "Run a program in a box",
  examples: [],
  input: z.strictObject({
    words: z.array(z.string()).default([]).describe("the program"),
    env: z.array(z.string()).default([]).describe("a variable"),
  }),
  args: { positional: ["words"], passThrough: true, values: { words: "WORD" } },
  output: z.object({}),
  effect: "change",
  shows: "events",
  targets: "local",
  run: () => Promise.resolve({ output: {} }),
});
