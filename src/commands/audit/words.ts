/** Words: what the verbs of the audit log have in common. */
import { z } from "zod";
import { ownPaths } from "../../core/config/paths.ts";
import { parseDuration } from "../../core/duration.ts";
import { AmiError } from "../../core/errors.ts";
import { type AuditFiles, auditFiles } from "../../core/security/audit/files.ts";
import type { AuditFilter } from "../../core/security/audit/lines.ts";
import { whyUnreadable } from "../../core/unreadable.ts";

export const filterInput = {
  host: z.string().min(1).optional().describe("only what was done on this host, by the name it was given"),
  verb: z.string().min(1).optional().describe("only this verb, as in 'ssh execute', or a group of them, as in ssh"),
  user: z.string().min(1).optional().describe("only what this user of this machine did"),
  since: z
    .string()
    .refine((text) => sinceOf(text) !== undefined, "is no time, as in 2h, 7d or 2026-03-01")
    .optional()
    .describe("only what is younger: a duration, a day or a time"),
};

export function filterOf(wish: {
  host?: string | undefined;
  verb?: string | undefined;
  user?: string | undefined;
  since?: string | undefined;
}): AuditFilter {
  const { host, verb, user, since } = wish;
  return { host, verb, user, since: since === undefined ? undefined : sinceOf(since) };
}

function sinceOf(text: string): number | undefined {
  const ago = parseDuration(text);
  if (ago !== undefined) return Date.now() - ago;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

export function theAudit(): AuditFiles {
  return auditFiles(ownPaths().audit);
}

/** Throws `audit.failed` in place of what the system says. */
export async function reading<T>(files: AuditFiles, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AmiError) throw cause;
    throw new AmiError("audit.failed", `${files.folder} cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
}
