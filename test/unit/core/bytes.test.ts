import { expect, it } from "vitest";
import { formatBytes } from "../../../src/core/bytes.ts";

it.each([
  [0, "0 B"],
  [1, "1 B"],
  [512, "512 B"],
  [1000, "1.0 KiB"],
  [1023, "1.0 KiB"],
  [1024, "1.0 KiB"],
  [1536, "1.5 KiB"],
  [100 * 1024, "100 KiB"],
  [1023.9 * 1024, "1.0 MiB"],
  [25_276_502_016, "23.5 GiB"],
  [2 ** 60, "1024 PiB"],
])("%d bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
