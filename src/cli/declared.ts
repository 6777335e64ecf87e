/** Declared: the inputs of a declaration as flags and words of a command line. */
import { z } from "zod";
import type { Command } from "../core/command.ts";
import { kebab, targetField } from "./flags.ts";
import type { Flag, FlagKind, Positional, Words } from "./flags.ts";

export function wordsOf(command: Command): Words {
  const schema = z.toJSONSchema(command.input, { io: "input", unrepresentable: "any" });
  const required = new Set(schema.required ?? []);
  const fields = new Map(Object.entries(schema.properties ?? {}).map(([name, field]) => [name, asField(field)]));
  const positional = command.args.positional ?? [];
  return {
    positionals: [
      ...(command.args.targetWord === true ? [targetWord] : []),
      ...positional.map((field, index) =>
        positionalOf(command, field, fields.get(field) ?? {}, required.has(field), index === positional.length - 1),
      ),
    ],
    flags: [...fields]
      .filter(([field]) => !positional.includes(field))
      .map(([field, says]) => flagOf(command, field, says, required.has(field))),
  };
}

const targetWord: Positional = {
  field: targetField,
  placeholder: "TARGET",
  variadic: false,
  required: false,
  numeric: false,
  choices: [],
  summary: "the target, as --target takes it: [user@]host[:port], an alias or a name",
};

/** What `z.toJSONSchema` says about one field, as far as it is used here. */
interface Field {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly items?: Field;
  readonly description?: string;
  readonly default?: unknown;
}

function positionalOf(command: Command, field: string, says: Field, required: boolean, last: boolean): Positional {
  const variadic = says.type === "array";
  if (variadic && !last) throw new Error(`${command.name}: only the last positional input may be a list, not ${field}`);
  return {
    field,
    placeholder: command.args.values?.[field] ?? kebab(field),
    variadic,
    required,
    numeric: isNumeric(says.items ?? says),
    choices: choicesOf(says),
    summary: says.description ?? "",
  };
}

function flagOf(command: Command, field: string, says: Field, required: boolean): Flag {
  const alone = command.args.alone?.[field];
  const kind = alone === undefined ? kindOf(says) : "optional";
  const onByDefault = kind === "switch" && says.default === true;
  return {
    field,
    long: onByDefault ? `no-${kebab(field)}` : kebab(field),
    short: command.args.short?.[field],
    kind,
    numeric: isNumeric(says.items ?? says),
    placeholder:
      command.args.values?.[field] ?? (kind === "pairs" ? "NAME=VALUE" : isNumeric(says.items ?? says) ? "N" : "TEXT"),
    choices: choicesOf(says),
    summary: says.description ?? "",
    ...(alone === undefined ? {} : { alone }),
    ...(says.default === undefined || kind === "switch" ? {} : { fallback: says.default }),
    required,
  };
}

function kindOf(says: Field): FlagKind {
  if (says.type === "boolean") return "switch";
  if (says.type === "array") return "list";
  return says.type === "object" ? "pairs" : "value";
}

function choicesOf(says: Field): readonly string[] {
  return (says.items?.enum ?? says.enum ?? []).filter((choice) => typeof choice === "string");
}

function isNumeric(says: Field): boolean {
  return says.type === "number" || says.type === "integer";
}

function asField(says: unknown): Field {
  return typeof says === "object" && says !== null ? says : {};
}
