/** package: software from the system's package manager. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import type { Facts, OsFacts, PackageFact } from "../facts.ts";
import { defineResource, type Change } from "../resource.ts";

const packageName = z.string().superRefine((name, issues) => {
  if (!isPackageName(name)) issues.addIssue({ code: "custom", message: complaint(name) });
});

export const resource = defineResource({
  type: "package",
  summary: "Packages of the system's package manager (apt), installed or removed.",
  schema: z.strictObject({
    package: z
      .union([packageName, z.array(packageName).min(1)])
      .describe("Name, or a list of names. A name may have an architecture: `libc6:i386`."),
    state: z
      .enum(["present", "absent"])
      .default("present")
      .describe("`absent` removes it and keeps its configuration files; asks first."),
  }),
  examples: ["- package: nginx", "- package: [curl, git, ca-certificates]", "- package: telnetd\n  state: absent"],
  title: (wish) => `package ${namesOf(wish).join(", ")}`,
  claims: (wish) => namesOf(wish).map((name) => `package:${name}`),
  probes: (wish) => namesOf(wish).map((name) => ({ kind: "package", name }) as const),
  plan(wish, facts, world) {
    const found = namesOf(wish).map((name) => ({ name, fact: factOf(name, facts, world.os) }));
    return wish.state === "present" ? planPresent(found) : planAbsent(found);
  },
});

type Found = readonly { readonly name: string; readonly fact: AptFact }[];
type AptFact = Exclude<PackageFact, { manager: undefined }>;

function planPresent(found: Found): readonly Change[] {
  const missing = found.filter(({ fact }) => !fact.installed);
  if (missing.length === 0) return [];
  const names = missing.map(({ name }) => name);
  const unknown = missing.filter(({ fact }) => !fact.installed && fact.known === false).map(({ name }) => name);
  const note =
    unknown.length === 0 ? "" : ` (${unknown.join(", ")}: not in the package lists there, which are read anew first)`;
  return [
    {
      summary: `install ${names.join(", ")}${note}`,
      steps: [{ do: "apt", action: "install", names }],
      provides: names.map((name) => `package:${name}`),
      batch: { key: "apt-install", names },
    },
  ];
}

function planAbsent(found: Found): readonly Change[] {
  const names: string[] = [];
  for (const { name, fact } of found) {
    if (!fact.installed) continue;
    if (fact.providedBy !== undefined) {
      throw new AmiError("plan.refused", `${name} is no package but a name that ${fact.providedBy} provides`, {
        hint: `to remove it, write  - package: ${fact.providedBy}`,
      });
    }
    names.push(name);
  }
  if (names.length === 0) return [];
  return [
    {
      summary: `remove ${names.join(", ")}`,
      steps: [{ do: "apt", action: "remove", names }],
      destroys: `remove the package${names.length === 1 ? "" : "s"} ${names.join(", ")}`,
      batch: { key: "apt-remove", names },
    },
  ];
}

function factOf(name: string, facts: Facts, os: OsFacts): AptFact {
  const fact = facts.get({ kind: "package", name });
  if (fact.manager === "apt") return fact;
  throw new AmiError(
    "plan.refused",
    `package: there is no apt on this target (${os.distro === "" ? os.os : os.distro})`,
    {
      hint: "apt (Debian, Ubuntu and their kin) is the one package manager supported now; for others use  - command:",
    },
  );
}

/** Each name once. */
function namesOf(wish: { readonly package: string | readonly string[] }): string[] {
  return [...new Set(typeof wish.package === "string" ? [wish.package] : wish.package)];
}

/**
 * A name no tool takes for something else. apt-get reads `nginx-` as "remove nginx", `nginx=1` as a version, `nginx/x` as
 * a release and `ng*` as a pattern.
 */
export function isPackageName(name: string): boolean {
  return /^[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:(?!(any|native)$)[a-z0-9-]*[a-z0-9])?$/.test(name);
}

function complaint(name: string): string {
  if (name.includes("=") || name.includes("/"))
    return `"${name}": versions and releases cannot be chosen; give the name alone`;
  if (/:(any|native)$/.test(name))
    return `"${name}": leave :any and :native out; the machine's own architecture is meant`;
  if (/\s|,/.test(name.trim())) return `"${name}" holds several words; write a list: package: [a, b]`;
  if (/[A-Z]/.test(name)) return `"${name}": package names are lower case`;
  return `"${name}" is not a package name (lower case letters, digits, + - .)`;
}
