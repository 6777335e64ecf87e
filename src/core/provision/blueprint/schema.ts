/** Schema: the form of a blueprint file: its top level, the keys every resource may have, and which key names the type. */
import { z } from "zod";
import type { ResourceType } from "../../resource.ts";
import type { Common } from "../wish.ts";
import { nearest } from "../../nearest.ts";

export const varName = /^[A-Za-z_][\w-]*$/;
const name = z.string().regex(varName, "must be a name: letters, digits, _ and -, not beginning with a digit");
const plain = z
  .string()
  .min(1)
  .regex(/^(?!.*(\{\{|\{%))/s, "no expression can stand here");

/** Keys every resource may have. Expressions are still text. */
const commonShape = {
  id: plain.optional().describe("Name by which others say `after`."),
  when: z
    .union([z.boolean(), z.string().min(1)])
    .optional()
    .describe(
      'Bare expression, as in `host.distro == "debian" and port > 80`; skipped unless it is true. With `each` it is asked for every item when it uses `item` or `index`.',
    ),
  each: z
    .union([z.array(z.unknown()), z.record(z.string(), z.unknown()), z.string().min(1)])
    .optional()
    .describe(
      "List or mapping to repeat the resource for: `item` is the entry (of a mapping `item.key` and `item.value`), `index` counts from 0.",
    ),
  register: name
    .optional()
    .describe(
      "Name under which later expressions see its result: `changed`, `skipped`, `failed`, `stdout`, `stderr`, `exit`.",
    ),
  tags: z
    .union([plain, z.array(plain)])
    .optional()
    .describe("Words for `--tags`."),
  after: z
    .union([plain, z.array(plain)])
    .optional()
    .describe("Ids of resources that must come before."),
  notify: z
    .union([z.string().min(1), z.array(z.string().min(1))])
    .optional()
    .describe("Handlers to run once at the end when this changed something."),
  become: z
    .union([z.boolean(), plain])
    .optional()
    .describe("`true`: as root. A name: as that user. `false`: as the login user, whatever the command line says."),
  timeout: z.number().positive().optional().describe("Seconds."),
  retries: z.int().min(0).max(100).optional().describe("How often to try again when it fails."),
  ignore_errors: z.boolean().optional().describe("Go on when it fails."),
};

export const commonSchema = z.object(commonShape);
export const commonKeys: readonly string[] = Object.keys(commonShape);

/** Handlers run once, at the end: nothing comes after them, and nobody selects or asks them. */
const handlerSchema = commonSchema.pick({
  when: true,
  each: true,
  become: true,
  timeout: true,
  retries: true,
  ignore_errors: true,
});
export const handlerKeys: readonly string[] = Object.keys(handlerSchema.shape);

const resource = z.record(z.string(), z.unknown());

export const fileSchema = z.strictObject({
  name: z
    .string()
    .max(100)
    .regex(/^[^\s/.-](?:[^\s/]| )*$/, "must not hold / or begin with a dot, a dash or a space")
    .refine((text) => !/\p{Cc}/u.test(text), "must not hold control characters")
    .optional()
    .describe("Name of the blueprint; the file's own name when left out."),
  vars: z
    .record(name, z.unknown())
    .nullish()
    .describe("Names for expressions. Values may use other vars and `host.*`."),
  resources: z.array(resource).nullish().describe("What should be so, in this order."),
  handlers: z
    .record(z.string().min(1), resource)
    .nullish()
    .describe("Resources that run once at the end when notified, by name."),
});

/** What a resource says of itself in the common keys, with defaults. */
export function commonOf(parsed: z.output<typeof commonSchema>): Common {
  return {
    when: parsed.when,
    each: parsed.each,
    register: parsed.register,
    tags: list(parsed.tags),
    after: list(parsed.after),
    notify: list(parsed.notify),
    become: parsed.become,
    timeout: parsed.timeout,
    retries: parsed.retries ?? 0,
    ignoreErrors: parsed.ignore_errors ?? false,
  };
}

function list(value: string | readonly string[] | undefined): readonly string[] {
  return typeof value === "string" ? [value] : (value ?? []);
}

/**
 * The type a resource with these keys has: the one type name among them to which all other type names are options
 * (`file` has the option `template`, `user` has `group`). A text says why there is none.
 */
export function typeOfKeys(
  keys: readonly string[],
  types: ReadonlyMap<string, ResourceType>,
): ResourceType | { readonly key?: string; readonly message: string } {
  const named = keys.map((key) => types.get(key)).filter((type) => type !== undefined);
  const fitting = named.filter((type) => named.every((other) => other === type || other.type in type.schema.shape));
  const [type] = fitting;
  if (type !== undefined && fitting.length === 1) return type;
  if (named.length > 0)
    return { message: `names several types (${named.map((one) => one.type).join(", ")}): write one resource for each` };
  const own = keys.filter((key) => !commonKeys.includes(key));
  for (const key of own) {
    const guess = nearest(key, types.keys());
    if (guess !== undefined)
      return { key, message: `unknown type ${JSON.stringify(key)}, did you mean ${JSON.stringify(guess)}?` };
  }
  const [first] = own;
  const known = `the types are ${[...types.keys()].sort().join(", ")}`;
  if (first === undefined) return { message: `names no type: ${known}` };
  return { key: first, message: `unknown type ${JSON.stringify(first)}: ${known}` };
}

/** JSON Schema (draft 7, which editors know best) of a blueprint file. The same types give the same text, in any order. */
export function blueprintJsonSchema(types: readonly ResourceType[]): Record<string, unknown> {
  const sorted = types.toSorted((a, b) => (a.type < b.type ? -1 : 1));
  const { name: title, vars, resources, handlers } = propertiesOf(fileSchema);
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "ami-node blueprint",
    type: "object",
    additionalProperties: false,
    required: ["resources"],
    properties: {
      name: title,
      vars: { ...describe(vars), type: ["object", "null"] },
      resources: { ...describe(resources), type: "array", items: { $ref: "#/definitions/resource" } },
      handlers: {
        ...describe(handlers),
        type: ["object", "null"],
        additionalProperties: { $ref: "#/definitions/handler" },
      },
    },
    definitions: {
      ...Object.fromEntries(
        Object.entries(propertiesOf(commonSchema)).map(([key, property]) => [`common-${key}`, property]),
      ),
      resource: { anyOf: sorted.map((type) => resourceJson(type, commonKeys)) },
      handler: { anyOf: sorted.map((type) => resourceJson(type, handlerKeys)) },
    },
  };
}

function resourceJson(type: ResourceType, common: readonly string[]): Record<string, unknown> {
  const own = Object.entries(propertiesOf(type.schema)).map(([key, property]) => [key, orExpression(property)]);
  return {
    title: type.type,
    description: type.summary,
    type: "object",
    required: [type.type],
    additionalProperties: false,
    properties: {
      ...(Object.fromEntries(own) as object),
      ...Object.fromEntries(common.map((key) => [key, { $ref: `#/definitions/common-${key}` }])),
    },
  };
}

/** Any value may be given by an expression instead; a text without rules holds one anyway. */
function orExpression(property: object): object {
  const { description, default: fallback, ...rest } = property as { description?: string; default?: unknown };
  const free =
    Object.keys(rest).every((key) => key === "minLength" || key === "type") && "type" in rest && rest.type === "string";
  return {
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(free ? rest : { anyOf: [rest, { type: "string", pattern: "\\{\\{|\\{%" }] }),
  };
}

function describe(property: object | undefined): { description?: unknown } {
  return property !== undefined && "description" in property ? { description: property.description } : {};
}

function propertiesOf(schema: z.ZodObject): Record<string, object> {
  const json = z.toJSONSchema(schema, { target: "draft-7", io: "input", unrepresentable: "any" });
  return (json.properties ?? {}) as Record<string, object>;
}
