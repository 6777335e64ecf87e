import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readValue, settingKey } from "../../../../src/core/config/keys.ts";
import { listSettings, openSettings } from "../../../../src/core/config/settings.ts";
import { setSetting, unsetSetting } from "../../../../src/core/config/write.ts";
import { homeOf } from "../../../../src/core/runtime-compat.ts";

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ami-settings-"));
  file = join(dir, "deep", "config.json");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe("settings", () => {
  it("come back as they were set, by dotted keys", async () => {
    await setSetting(file, "default.target", "web1,web2");
    await setSetting(file, "parallel", "7");
    await setSetting(file, "ssh.acceptNew", "yes");
    const settings = openSettings(file);
    expect(settings.get("default.target")).toBe("web1,web2");
    expect(settings.get("parallel")).toBe(7);
    expect(settings.get("ssh.acceptNew")).toBe(true);
    expect(settings.get("color")).toBeUndefined();
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({
      default: { target: "web1,web2" },
      parallel: 7,
      ssh: { acceptNew: true },
    });
  });

  it("are for their owner only", async () => {
    await setSetting(file, "parallel", "7");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it("are forgotten by unset, and only those that were set", async () => {
    await setSetting(file, "parallel", "7");
    expect(await unsetSetting(file, "parallel")).toBe(true);
    expect(await unsetSetting(file, "parallel")).toBe(false);
    expect(openSettings(file).get("parallel")).toBeUndefined();
  });

  it("have defaults: no file is no error", () => {
    expect(openSettings(file).get("parallel")).toBeUndefined();
    expect(listSettings(file).every((entry) => entry.value === undefined && entry.problem === undefined)).toBe(true);
  });

  it.each([
    ["parallel", "0", "must be at least 1"],
    ["parallel", "many", "must be a number"],
    ["parallel", "20000", "must be at most 10000"],
    ["color", "blue", "must be one of auto, always, never"],
    ["ssh.acceptNew", "perhaps", "must be true or false"],
    ["default.target", "", "names nothing"],
    ["default.target", " , ", "names nothing"],
    ["default.target", "web[3-1]", 'target "web[3-1]": the range counts downwards'],
    ["default.target", "web1,a b", 'target "a b": it holds characters that no host or user name has'],
  ] as const)("%s cannot be %j", async (key, value, why) => {
    await expect(setSetting(file, key, value)).rejects.toMatchObject({
      code: "usage.input",
      message: `${key}: ${why}`,
    });
  });

  it.each(["web1,@prod,!web3", "web*", "web[1-3]", "root@[::1]:22", "local"])("default.target can be %j", (value) => {
    expect(readValue("default.target", value)).toEqual({ ok: true, value });
  });

  it("an unknown key names the nearest one", () => {
    expect(() => settingKey("paralel")).toThrow(
      expect.objectContaining({ code: "usage.input", hint: "did you mean parallel?" }),
    );
    expect(() => settingKey("zzz")).toThrow(expect.objectContaining({ hint: expect.stringContaining("config list") }));
    expect(settingKey("parallel")).toBe("parallel");
  });

  it("a wrong value in the file is an error of whoever asks for that key, with its place and the way out", async () => {
    file = join(dir, "config.json");
    await writeFile(file, JSON.stringify({ parallel: "many", color: "never" }));
    const settings = openSettings(file);
    expect(settings.get("color")).toBe("never");
    expect(() => settings.get("parallel")).toThrow(
      expect.objectContaining({
        code: "config.invalid",
        message: `${file}: parallel: must be a number`,
        hint: "ami-node config set parallel VALUE, or ami-node config unset parallel",
      }),
    );
  });

  it("the list shows wrong values and unknown keys instead of failing", async () => {
    file = join(dir, "config.json");
    await writeFile(file, JSON.stringify({ parallel: -1, old: { key: 1 } }));
    const list = listSettings(file);
    expect(list.find(({ key }) => key === "parallel")).toMatchObject({ problem: "must be at least 1" });
    expect(list.at(-1)).toEqual({ key: "old.key", says: "", problem: "there is no such setting" });
  });

  it("a broken file is an error, for reading and for writing, and is left as it is", async () => {
    file = join(dir, "config.json");
    await writeFile(file, "{ not json");
    expect(() => openSettings(file).get("parallel")).toThrow(expect.objectContaining({ code: "config.invalid" }));
    await expect(setSetting(file, "parallel", "3")).rejects.toMatchObject({ code: "config.invalid" });
    expect(await readFile(file, "utf8")).toBe("{ not json");
  });

  it.each(["[]", "5", "null", '"text"'])("a file that holds %s is refused, and left as it is", async (text) => {
    file = join(dir, "config.json");
    await writeFile(file, text);
    const refusal = expect.objectContaining({ code: "config.invalid", message: expect.stringContaining("an object") });
    expect(() => openSettings(file).get("parallel")).toThrow(refusal);
    expect(() => listSettings(file)).toThrow(refusal);
    await expect(setSetting(file, "parallel", "3")).rejects.toEqual(refusal);
    await expect(unsetSetting(file, "parallel")).rejects.toEqual(refusal);
    expect(await readFile(file, "utf8")).toBe(text);
  });

  it("the beginning of several keys is not forgotten", async () => {
    await setSetting(file, "ssh.acceptNew", "yes");
    await expect(unsetSetting(file, "ssh")).rejects.toMatchObject({
      code: "usage.input",
      hint: "name one: ssh.acceptNew",
    });
    expect(openSettings(file).get("ssh.acceptNew")).toBe(true);
    expect(await unsetSetting(file, "ssh.acceptNew")).toBe(true);
  });

  it.skipIf(process.platform !== "linux").each(["/proc/x/config.json", "/dev/null/x/config.json"])(
    "in %s there are none, and none can be kept",
    async (impossible) => {
      expect(openSettings(impossible).get("parallel")).toBeUndefined();
      await expect(setSetting(impossible, "parallel", "3")).rejects.toMatchObject({
        code: "config.invalid",
        message: expect.stringMatching(/config\.json: cannot be written: [a-z ]+$/),
      });
    },
  );

  it("a file that cannot be read is an error", async () => {
    expect(() => openSettings(dir).get("parallel")).toThrow(
      expect.objectContaining({ code: "config.invalid", message: expect.stringContaining("cannot be read") }),
    );
  });

  it("a file is kept absolute, so that it is the same one in every folder", async () => {
    expect(await setSetting(file, "inventory", "nodes.yaml")).toBe(resolve("nodes.yaml"));
    expect(await setSetting(file, "ssh.identity", "~/.ssh/id")).toBe(join(process.env["HOME"] ?? homedir(), ".ssh/id"));
    expect(await setSetting(file, "ssh.config", "none")).toBe("none");
    expect(await setSetting(file, "ssh.identity", "~root/id")).toBe(join(homeOf("root") ?? "", "id"));
    await expect(setSetting(file, "ssh.identity", "~nosuchuser/id")).rejects.toMatchObject({
      message: "ssh.identity: there is no user nosuchuser here; write ./~nosuchuser/id for a file of that name",
    });
  });

  it("values of the file and of the command line are read alike", () => {
    expect(readValue("parallel", "5")).toEqual({ ok: true, value: 5 });
    expect(readValue("parallel", 5)).toEqual({ ok: true, value: 5 });
    expect(readValue("ssh.acceptNew", "off")).toEqual({ ok: true, value: false });
  });
});
