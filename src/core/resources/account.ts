/** What user and group share: names, numbers, and the programs that change them. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import type { Facts, Probe } from "../facts.ts";
import { later, type Later, type World } from "../resource.ts";

/** As useradd takes them; a number alone would be read as an id by half of all tools. */
export const accountName = z
  .string()
  .max(32, "at most 32 characters")
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]*\$?$/, "an account name: letters, digits, _ . -, beginning with a letter or _");

export const accountId = z.number().int().min(0).max(4_294_967_294);

/** Debian, Red Hat and most others have the shadow programs; busybox has its own, which cannot change an account. */
export const toolProbe: Probe & { kind: "shell" } = {
  kind: "shell",
  line: "PATH=$PATH:/usr/sbin:/sbin; command -v useradd",
};

/** Throws `plan.refused` where useradd and its kin are missing; `later` where an earlier program may bring them. */
export function needTools(type: "user" | "group", facts: Facts, world: World): Later | undefined {
  if (facts.get(toolProbe).code === 0) return undefined;
  if (world.pendingPrograms) return later("useradd may come with an earlier package or command");
  throw new AmiError(
    "plan.refused",
    `${type}: there is no useradd on this target (${world.os.distro === "" ? world.os.os : world.os.distro})`,
    {
      hint:
        world.os.distro === "alpine"
          ? "install it first:  - command: apk add shadow"
          : "install the shadow programs (package passwd, shadow or shadow-utils) first",
    },
  );
}
