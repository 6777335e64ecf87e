import { join } from "node:path";
import { expect, it } from "vitest";
import { ownPaths } from "../../../../src/core/config/paths.ts";
import { localUser } from "../../../../src/core/runtime-compat.ts";

it.each([
  [
    "the home on Unix",
    { HOME: "/h" },
    "linux",
    "/h/.config/ami-node/config.json",
    "/h/.local/state/ami-node/ami-node.log",
  ],
  [
    "the same on macOS",
    { HOME: "/h" },
    "darwin",
    "/h/.config/ami-node/config.json",
    "/h/.local/state/ami-node/ami-node.log",
  ],
  [
    "XDG",
    { HOME: "/h", XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "/s" },
    "linux",
    "/c/ami-node/config.json",
    "/s/ami-node/ami-node.log",
  ],
  [
    "empty XDG",
    { HOME: "/h", XDG_CONFIG_HOME: "" },
    "linux",
    "/h/.config/ami-node/config.json",
    "/h/.local/state/ami-node/ami-node.log",
  ],
  ...["", "rel/ative"].map(
    (value) =>
      [
        `the password file when HOME and XDG are ${JSON.stringify(value)}`,
        { HOME: value, XDG_CONFIG_HOME: value, XDG_STATE_HOME: value },
        "linux",
        join(localUser().home, ".config/ami-node/config.json"),
        join(localUser().home, ".local/state/ami-node/ami-node.log"),
      ] as const,
  ),
  ["one folder for all", { HOME: "/h", AMI_NODE_CONFIG_DIR: "/own" }, "linux", "/own/config.json", "/own/ami-node.log"],
  [
    "AppData on Windows",
    { APPDATA: "/r", LOCALAPPDATA: "/l" },
    "win32",
    "/r/ami-node/config.json",
    "/l/ami-node/ami-node.log",
  ],
] as const)("our files follow %s", (_name, env, platform, settings, log) => {
  expect(ownPaths(env, platform)).toMatchObject({ settings, log });
});

it("the inventory lies beside the settings", () => {
  expect(ownPaths({ HOME: "/h" }, "linux").nodes).toBe("/h/.config/ami-node/nodes.yaml");
});
