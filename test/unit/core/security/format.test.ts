import { describe, expect, it } from "vitest";
import { Secret } from "../../../../src/core/secret.ts";
import { deriveKey, kdfSchema, newKdf, newKey, seal, unseal } from "../../../../src/core/security/vault/cipher.ts";
import {
  newVaultFile,
  openVaultFile,
  readVault,
  writeVault,
  type VaultFile,
} from "../../../../src/core/security/vault/format.ts";

const pass = new Secret("correct horse");
const then = new Date("2026-01-02T03:04:05.000Z");
const values = new Map([
  ["b", { value: Buffer.from("two"), changed: then }],
  ["a", { value: Buffer.from("one"), changed: then }],
]);
const made = await newVaultFile(pass, values);
const copy = (): VaultFile => readVault(writeVault(made), "v");
const open = async (vault: VaultFile) => {
  const opened = await openVaultFile(vault, pass, "v");
  if (opened === undefined) throw new Error("not opened");
  return opened;
};
const entry = (vault: VaultFile, name: string) => {
  const found = vault.entries[name];
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
};

describe("cipher", () => {
  it("opens only with the same key, for the same thing, unaltered", () => {
    const key = newKey();
    const sealed = seal(key, Buffer.from("x"), "about");
    expect(unseal(key, sealed, "about")?.toString()).toBe("x");
    expect(unseal(newKey(), sealed, "about")).toBeUndefined();
    expect(unseal(key, sealed, "other")).toBeUndefined();
    expect(unseal(key, { ...sealed, tag: sealed.tag.slice(0, 8) }, "about")).toBeUndefined();
    expect(seal(key, Buffer.from("x"), "about").nonce).not.toBe(sealed.nonce);
  });

  it("derives one key from one passphrase and salt, however its letters are composed", async () => {
    const kdf = { ...newKdf(), N: 1024 };
    const key = await deriveKey(new Secret("é"), kdf);
    expect(key).toEqual(await deriveKey(new Secret("e\u0301"), kdf));
    expect(key).not.toEqual(await deriveKey(new Secret("é"), { ...newKdf(), N: 1024 }));
  });

  it.each([{ N: 2 ** 25 }, { r: 1000 }, { p: 1000 }, { N: 2 }])("refuses costs out of bounds: %j", (cost) => {
    expect(kdfSchema.safeParse({ ...newKdf(), ...cost }).success).toBe(false);
  });
});

describe("vault file", () => {
  it("holds values by name, and nothing of them in clear", async () => {
    const text = writeVault(made);
    expect(Object.keys(copy().entries)).toEqual(["a", "b"]);
    for (const [, { value }] of values) {
      expect(text).not.toContain(value.toString());
      expect(text).not.toContain(value.toString("base64"));
    }
    const opened = await open(copy());
    expect([opened.value("a")?.toString(), opened.value("b")?.toString(), opened.value("c")]).toEqual([
      "one",
      "two",
      undefined,
    ]);
    expect(opened.value("toString")).toBeUndefined();
  });

  it("another passphrase opens nothing", async () => {
    expect(await openVaultFile(copy(), new Secret("correct hors"), "v")).toBeUndefined();
  });

  it("changes keep the rest, and can be made again and again", async () => {
    const second = (await open(copy())).with(
      new Map([
        ["c", Buffer.from("three")],
        ["a", undefined],
      ]),
      then,
    );
    const opened = await open(readVault(writeVault(second), "v"));
    expect(["a", "b", "c"].map((name) => opened.value(name)?.toString())).toEqual([undefined, "two", "three"]);
    expect(Object.keys(opened.with(new Map([["b", undefined]]), then).entries)).toEqual(["c"]);
  });

  const alterations: [string, (vault: VaultFile) => void][] = [
    ["an entry taken away", (vault) => delete vault.entries["a"]],
    [
      "two entries that changed places",
      (vault) => {
        [vault.entries["a"], vault.entries["b"]] = [entry(vault, "b"), entry(vault, "a")];
      },
    ],
    [
      "an entry under another name",
      (vault) => {
        vault.entries["c"] = entry(vault, "a");
      },
    ],
    [
      "another time",
      (vault) => {
        entry(vault, "a").changed = "2020-01-01T00:00:00.000Z";
      },
    ],
    [
      "another sum",
      (vault) => {
        vault.sum = "AAAA";
      },
    ],
  ];
  it.each(alterations)("notices %s", async (_name, alter) => {
    const vault = copy();
    alter(vault);
    await expect(open(vault)).rejects.toMatchObject({ code: "vault.damaged" });
  });

  it("notices an altered value when it is read", async () => {
    const vault = copy();
    entry(vault, "a").data = Buffer.from("xxx").toString("base64");
    const opened = await open(vault);
    expect(() => opened.value("a")).toThrow("the entry a was altered");
  });

  it("notices an older copy of an entry put back", async () => {
    const newer = (await open(copy())).with(new Map([["a", Buffer.from("new")]]), then);
    newer.entries["a"] = entry(copy(), "a");
    await expect(open(newer)).rejects.toMatchObject({ code: "vault.damaged" });
  });

  it("a weaker cost written into the file does not open", async () => {
    const vault = copy();
    vault.kdf.N = 1024;
    expect(await openVaultFile(vault, pass, "v")).toBeUndefined();
  });

  it.each([
    ["", "it is not JSON"],
    ["{", "it is not JSON"],
    ["[]", "it is no vault of ours"],
    ['{"ami-node-vault":2}', "was written by a later version"],
    [writeVault(made).replace('"kdf"', '"kfd"'), "it is no vault of ours"],
  ])("refuses %j", (text, why) => {
    expect(() => readVault(text, "v")).toThrow(why);
  });
});
