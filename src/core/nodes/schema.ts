/** The form of nodes.yaml. */
import { z } from "zod";

const nodeName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, "must be a name: letters, digits, _ . and -")
  .refine((name) => name !== "local", "local is this machine; give the node another name");

const groupName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, "must be a name: letters, digits, _ . and -")
  .refine((name) => name !== "all", "all holds every node already; give the group another name");

const vars = z.record(
  z.string().regex(/^[A-Za-z_][\w-]*$/, "must be a name: letters, digits, _ and -, not beginning with a digit"),
  z.unknown(),
);

const node = z.strictObject({
  address: z.string().min(1).optional(),
  groups: z.array(groupName).default([]),
  vars: vars.default({}),
});

/** A bare address, or nothing at all when the name is the address. */
const nodeOrAddress = z
  .union([z.string().min(1), node, z.null()])
  .transform((value) =>
    typeof value === "string" || value === null
      ? { address: value ?? undefined, groups: [], vars: {}, written: "short" as const }
      : { ...value, written: "long" as const },
  );

const group = z
  .strictObject({ vars: vars.default({}), children: z.array(groupName).default([]) })
  .nullable()
  .transform((value) => value ?? { vars: {}, children: [] });

export const nodesFile = z.strictObject({
  nodes: z
    .record(nodeName, nodeOrAddress)
    .nullish()
    .transform((value) => value ?? undefined),
  groups: z
    .record(groupName, group)
    .nullish()
    .transform((value) => value ?? undefined),
  vars: vars.nullish().transform((value) => value ?? undefined),
});

export type NodesFile = Partial<z.output<typeof nodesFile>>;

/** Keys a person may have meant, by how deep they stand. */
export const knownKeys: readonly (readonly string[])[] = [
  ["nodes", "groups", "vars"],
  [],
  ["address", "groups", "vars", "children"],
];
