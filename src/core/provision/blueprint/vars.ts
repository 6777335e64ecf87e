/** Vars: where values for expressions come from: the blueprint, inventory, --vars-file and --var, the later over the earlier. */
import { readFile } from "node:fs/promises";
import { AmiError } from "../../errors.ts";
import { whyUnreadable } from "../../unreadable.ts";
import { parseYaml, type Yaml } from "../../yaml.ts";
import { kindOf, whereText, type Path } from "./mistakes.ts";
import type { VarPath } from "./template.ts";

export type Vars = Readonly<Record<string, unknown>>;

/** One --vars-file, read. */
export interface VarsFile {
  readonly file: string;
  readonly vars: Vars;
  readonly yaml: Yaml;
}

/** One mapping of names to values, in YAML or JSON. An empty file is an empty mapping. */
export async function readVarsFile(file: string): Promise<VarsFile> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new AmiError("blueprint.invalid", `${file}: the vars file cannot be read: ${whyUnreadable(cause)}`, {
      cause,
    });
  });
  const yaml = await parseYaml(text, file, { code: "blueprint.invalid" });
  const value = yaml.value ?? {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new AmiError("blueprint.invalid", `${file}:1:1 must be a mapping of names to values, not ${kindOf(value)}`);
  }
  return { file, vars: value as Vars, yaml };
}

export interface VarPlace {
  readonly file: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly where: string;
}

/** Says for the vars of a blueprint where each is written. */
export function rememberVars(vars: Vars, placeOf: (path: VarPath) => VarPlace): void {
  places.set(vars, placeOf);
}

export function placeOfVar(vars: Vars, path: VarPath): VarPlace {
  return places.get(vars)?.(path) ?? { file: "vars", line: undefined, column: undefined, where: whereText(path) };
}

/** Looks a var up in what was read: command line first, then the files from the last to the first, then the blueprint. */
export function varPlaces(
  blueprint: { readonly file: string; readonly yaml: Yaml; readonly vars: Vars },
  files: readonly VarsFile[],
  given: Vars,
): (path: VarPath) => VarPlace {
  return (path) => {
    const [name] = path;
    const key = String(name);
    if (Object.hasOwn(given, key)) return { file: "--var", line: undefined, column: undefined, where: whereText(path) };
    const file = files.findLast((one) => Object.hasOwn(one.vars, key));
    if (file !== undefined) return { file: file.file, ...file.yaml.at(path), where: whereText(path) };
    if (Object.hasOwn(blueprint.vars, key)) {
      const full: Path = ["vars", ...path];
      return { file: blueprint.file, ...blueprint.yaml.at(full), where: whereText(full) };
    }
    return { file: "inventory", line: undefined, column: undefined, where: whereText(path) };
  };
}

const places = new WeakMap<Vars, (path: VarPath) => VarPlace>();
