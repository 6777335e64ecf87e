import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const text = readFileSync(join(import.meta.dirname, "../../../package-lock.json"), "utf8");
const { packages } = z
  .object({
    packages: z.record(
      z.string(),
      z.object({
        version: z.string().optional(),
        dev: z.boolean().default(false),
        optional: z.boolean().default(false),
        hasInstallScript: z.boolean().default(false),
        integrity: z.string().optional(),
        link: z.boolean().default(false),
      }),
    ),
  })
  .parse(JSON.parse(text));

describe("package-lock.json", () => {
  it("names no registry: the machine's own is asked", () => {
    expect(text).not.toMatch(/"resolved": "(?!scripts\/node")/);
  });

  it("lets npm ci go on where npm has no Node of the pinned version", () => {
    // Its installer fetches a package for the platform and fails where there is none, as on macOS.
    expect(packages["node_modules/node"]).toMatchObject({ optional: true, dev: true, hasInstallScript: true });
  });

  it("holds every package to a hash", () => {
    const loose = Object.entries(packages).filter(
      ([path, one]) => path.startsWith("node_modules/") && !one.link && one.integrity === undefined,
    );
    expect(loose.map(([path]) => path)).toEqual([]);
  });

  it("gives whoever installs the package the way to a keyring, where there is one: the bundle holds the rest", () => {
    const brought = Object.entries(packages).filter(
      ([path, one]) => path.startsWith("node_modules/") && !one.dev && !one.link,
    );
    for (const [path, one] of brought) {
      expect(path).toMatch(/^node_modules\/@napi-rs\/keyring/);
      expect(one, path).toMatchObject({ optional: true });
    }
  });
});
