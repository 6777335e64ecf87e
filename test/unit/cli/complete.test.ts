import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { candidates } from "../../../src/cli/complete.ts";

let home = "";
let env: NodeJS.ProcessEnv = {};
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "ami-complete-"));
  env = { HOME: home, PATH: join(home, "bin") };
  await mkdir(join(home, ".ssh"));
  await writeFile(join(home, ".ssh/config"), "Host jump gate\nHost *\n");
  await writeFile(join(home, "other"), "Host special\n");
  await mkdir(join(home, ".config/ami-node"), { recursive: true });
  await writeFile(
    join(home, ".config/ami-node/nodes.yaml"),
    "nodes:\n  web1: 10.0.0.1\n  web2: 10.0.0.2\ngroups:\n  prod: {}\n",
  );
  await mkdir(join(home, "bin"));
  await writeFile(join(home, "bin/ami-node-greet"), "#!/bin/sh\n");
  await chmod(join(home, "bin/ami-node-greet"), 0o755);
});
afterAll(() => rm(home, { recursive: true, force: true }));

/** Offered words, without their meaning. `_` stands for a blank inside a word, a final blank for a new word. */
async function offered(line: string): Promise<string[]> {
  return (await candidates(line.split(" "), env)).map((one) => one.split("\t")[0] ?? "");
}

describe("completion offers", () => {
  it("commands, groups and plugins with what they do", async () => {
    const lines = await candidates([""], env);
    expect(lines).toContain("ssh\trun commands, open terminals and copy files over SSH");
    expect(lines).toContain("provision\tBring machines to the state a blueprint describes");
    expect(lines).toContain(`greet\t${join(home, "bin/ami-node-greet")}`);
    expect(await offered("pro")).toEqual(["provision"]);
    expect(await offered("help ssh ")).toContain("execute");
  });

  it.each([
    ["ssh ", ["connect", "execute", "get", "put", "transfer"]],
    ["ssh ex", ["execute"]],
    ["--json ssh ex", ["execute"]],
    ["ssh --target web1 ex", ["execute"]],
    ["ssh --become ex", ["execute"]],
    ["provision --blue", ["--blueprint"]],
    ["provision --targ", ["--target", "--targets-file"]],
    ["provision --become-m", ["--become-method"]],
    ["provision --become-method s", ["sudo", "su"]],
    ["provision --become-method=d", ["--become-method=doas"]],
    ["completion ", ["bash", "zsh", "fish"]],
    ["completion bash ", []],
    ["ssh connect jum", ["jump"]],
    ["ssh connect root@gat", ["root@gate"]],
    ["config get par", ["parallel"]],
    ["config --targ", []],
    ["config set --targ", []],
    ["provision --blueprint ", [":files"]],
    ["provision --identity=", [":files"]],
    ["nosuch ", []],
    ["ssh execute -- --", []],
    ["ssh put ", [":files"]],
  ])("after %j: %j", async (line, words) => {
    expect(await offered(line)).toEqual(words);
  });

  it.each([
    ["--target ", ["local", "web1", "web2", "@all", "@prod", "jump", "gate"]],
    ["--target w", ["web1", "web2"]],
    ["--target=w", ["--target=web1", "--target=web2"]],
    ["--target web1,w", ["web1,web1", "web1,web2"]],
    ["--target web1,@p", ["web1,@prod"]],
    ["--target @", ["@all", "@prod"]],
    ["--target !web1", ["!web1"]],
    ["--target me@j", ["me@jump"]],
    ["--ssh-config OTHER --target sp", ["special"]],
    ["provision --limit we", ["web1", "web2"]],
  ])("targets after %j: %j", async (line, words) => {
    expect(await offered(line.replace("OTHER", join(home, "other")))).toEqual(words);
  });

  it("targets even when the inventory or the settings are broken", async () => {
    const broken = await mkdtemp(join(tmpdir(), "ami-complete-broken-"));
    try {
      await writeFile(join(broken, "nodes.yaml"), "nodes: [");
      await writeFile(join(broken, "config.json"), "{");
      const lines = await candidates(["--target", ""], { ...env, AMI_NODE_CONFIG_DIR: broken });
      expect(lines).toEqual(["local", "jump", "gate"]);
    } finally {
      await rm(broken, { recursive: true, force: true });
    }
  });
});
