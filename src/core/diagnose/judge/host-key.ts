/** Host key: is the key that the server showed the one we know, and what exactly do the files say about this host? Pure. */
import { quote } from "../../argv.ts";
import { type HostKeyLine, fingerprint, keyType } from "../../ssh/known-hosts.ts";
import { about, certain, type Finding, here, likely, possible } from "../finding.ts";

const { ok, warn, fail, skipped } = about("host key");

export interface HostKeySeen {
  /** What the target is called. */
  readonly name: string;
  /** As the files record it: `[host]:port`. */
  readonly record: string;
  /** Undefined: the connection ended before it was shown. */
  readonly key: Buffer | undefined;
  /** Every line of the files for this host, in their order. */
  readonly lines: readonly HostKeyLine[];
  readonly files: readonly string[];
  /** What a real login made of it. */
  readonly refusal: { readonly code: string; readonly message: string } | undefined;
}

export function judgeHostKey({ name, record, key, lines, files, refusal }: HostKeySeen): Finding[] {
  if (key === undefined) return [skipped("host key", "the server did not come to show its key")];
  const shown = { type: keyType(key), print: fingerprint(key) };
  const evidence = [
    `it shows ${shown.type} ${shown.print}`,
    ...lines.map(
      (line) =>
        `${line.file}:${line.line} ${line.marker === undefined ? "" : `${line.marker} `}${line.type} ${line.fingerprint}`,
    ),
    ...(lines.length === 0 ? [`no line for ${record} in ${files.join(", ") || "any file"}`] : []),
  ];
  const plain = lines.filter(({ marker }) => marker === undefined);
  if (refusal?.code === "hostkey.revoked") {
    return [
      fail("host-key.revoked", `the host key of ${name} is revoked: do not log in`, {
        evidence: [...evidence, refusal.message],
        cause: certain("the key is marked as stolen or given up; whoever shows it may be somebody else"),
        fix: here(`ssh-keygen -F ${quoted(record)}`),
      }),
    ];
  }
  if (refusal?.code === "hostkey.changed") {
    const old = plain.find(({ type }) => type === shown.type) ?? plain[0];
    return [
      fail("host-key.changed", `the host key of ${name} is not the known one`, {
        evidence,
        cause: possible("the machine was installed anew or its address given to another; or somebody is in between"),
        fix: here(`ssh-keygen -R ${quoted(record)} -f ${old === undefined ? "~/.ssh/known_hosts" : quote(old.file)}`),
        ...(old === undefined
          ? {}
          : { repair: { does: "drop-line", file: old.file, line: old.line, fingerprint: old.fingerprint } }),
      }),
    ];
  }
  if (refusal?.code === "hostkey.unknown") {
    return [
      fail("host-key.unknown", `the host key of ${name} is not known here`, {
        evidence,
        cause: certain("nobody has logged in to it from here under this name, or the line was removed"),
        // Only after the fingerprint was compared; the guide says how.
        fix: here(`ami-node ssh execute --accept-new --target ${name} true`),
      }),
    ];
  }
  if (refusal !== undefined) return [fail("host-key.unreadable", refusal.message, { evidence })];
  return [...strays(plain, shown), ok("host key", `${shown.type} ${shown.print} is the known key`, { evidence })];

  function strays(all: readonly HostKeyLine[], good: typeof shown): Finding[] {
    const rivals = all.filter((line) => line.type === good.type && line.fingerprint !== good.print);
    const twins = all.filter((line) => line.fingerprint === good.print).slice(1);
    const [rival] = rivals;
    const [twin] = twins;
    return [
      ...(rival === undefined
        ? []
        : [
            warn(
              "host-key.duplicate",
              `known_hosts holds ${rivals.length + 1} different ${good.type} keys for ${record}`,
              {
                evidence,
                cause: likely(
                  "the old line stayed when the machine got a new key; whoever has the old key is believed",
                ),
                fix: here(`sed -i ${rival.line}d ${quote(rival.file)}`),
                repair: { does: "drop-line", file: rival.file, line: rival.line, fingerprint: rival.fingerprint },
              },
            ),
          ]),
      ...(twin === undefined || rival !== undefined
        ? []
        : [
            warn("host-key.duplicate", `known_hosts holds the key of ${record} ${twins.length + 1} times`, {
              evidence,
              cause: certain("the line was added again, or stands in two files"),
              fix: here(`sed -i ${twin.line}d ${quote(twin.file)}`),
              repair: { does: "drop-line", file: twin.file, line: twin.line, fingerprint: twin.fingerprint },
            }),
          ]),
    ];
  }
}

function quoted(record: string): string {
  return record.startsWith("[") ? `'${record}'` : record;
}
