import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/{unit,contract,integration,e2e}/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
    maxConcurrency: 10,
    coverage: {
      provider: "v8",
      include: ["src/core/**", "src/platform/**"],
      exclude: ["**/registry.ts"],
      reporter: ["text-summary", "json-summary"],
      // Of each, so that one does not hide behind the other.
      thresholds: { lines: 90, "src/core/**": { lines: 90 } },
    },
  },
});
