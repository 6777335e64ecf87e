/** Errors as people read them: what failed, where, what to try; the whole story only when it was asked for or is ours. */
import { asAmiError } from "../core/errors.ts";
import type { ErrorJson } from "../core/errors.ts";
import { visible } from "../core/visible.ts";
import { noPaint } from "./paint.ts";
import type { Paint } from "./paint.ts";

/** Lines for stderr, ending in a newline. */
export function errorText(thrown: unknown, look: { readonly verbose?: boolean; readonly paint?: Paint } = {}): string {
  const error = asAmiError(thrown);
  const paint = look.paint ?? noPaint;
  const lines = head(error, paint);
  if (error.code === "internal.bug") {
    const origin = error.cause instanceof Error ? error.cause : error;
    lines.push(
      indent(origin.stack ?? origin.message),
      "  this is a mistake in ami-node itself; please report it with the lines above",
    );
  } else if (look.verbose === true) {
    lines.push(...causes(error.cause));
  }
  return `${lines.join("\n")}\n`;
}

/** The same for an error that travelled in an event. */
export function errorJsonText(error: ErrorJson, paint: Paint = noPaint): string {
  return `${head(error, paint).join("\n")}\n`;
}

function head(error: ErrorJson | ReturnType<typeof asAmiError>, paint: Paint): string[] {
  const where = error.host === undefined || error.message.includes(error.host) ? "" : `${error.host}: `;
  const hint = (error.hint === undefined ? [] : visible(error.hint).split("\n")).map((line, i) =>
    i === 0 ? `  hint: ${line}` : `        ${line}`,
  );
  return [`${paint.red("error:")} ${where}${visible(error.message).replaceAll("\n", "\n       ")}`, ...hint];
}

function causes(cause: unknown): string[] {
  const lines: string[] = [];
  for (let at = cause, depth = 0; at !== undefined && depth < 8; depth++) {
    lines.push(`  cause: ${causeText(at, depth === 0).replaceAll("\n", "\n  ")}`);
    at = at instanceof Error ? at.cause : undefined;
  }
  return lines;
}

function causeText(cause: unknown, whole: boolean): string {
  if (!(cause instanceof Error)) return typeof cause === "string" ? cause : JSON.stringify(cause);
  return whole ? (cause.stack ?? cause.message) : cause.message;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
