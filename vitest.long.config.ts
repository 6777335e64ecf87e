import { defineConfig } from "vitest/config";

/** Torture: minutes each, run by hand before something is called finished. */
export default defineConfig({
  test: {
    include: ["test/long/**/*.test.ts"],
    testTimeout: 45 * 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 1,
  },
});
