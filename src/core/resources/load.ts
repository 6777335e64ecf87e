/** All resource types by name. */
import type { ResourceType } from "../resource.ts";
import { resources } from "./registry.ts";

export async function loadResources(): Promise<ReadonlyMap<string, ResourceType>> {
  const entries = await Promise.all(
    Object.entries(resources).map(async ([name, load]) => [name, (await load()) as ResourceType] as const),
  );
  return new Map(entries);
}
