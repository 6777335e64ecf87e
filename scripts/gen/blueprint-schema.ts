/** JSON Schema of blueprints, for editors. */
import { blueprintJsonSchema } from "../../src/core/provision/blueprint/schema.ts";
import type { ResourceType } from "../../src/core/resource.ts";
import type { Found } from "./declarations.ts";

export function blueprintSchema(resources: readonly Found<ResourceType>[]): string {
  return `${JSON.stringify(blueprintJsonSchema(resources.map(({ says }) => says)), null, 2)}\n`;
}
