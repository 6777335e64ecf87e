/**
 * Facts: what a target answered. A probe is a question as a value; all probes of a run are merged by kind into one
 * program (`core/provision/probes`), so their number does not change the number of round trips.
 */

/** One question. Two equal probes are asked once. */
export type Probe =
  /** Does not follow a link at `path`. */
  | { readonly kind: "stat"; readonly path: string }
  | { readonly kind: "sha256"; readonly path: string }
  /** Is this whole line in the file? */
  | { readonly kind: "line"; readonly path: string; readonly line: string }
  /** Is the directory empty? Asked before one is removed. */
  | { readonly kind: "entries"; readonly path: string }
  /** The bytes, up to 256 KiB: for diffs only. */
  | { readonly kind: "content"; readonly path: string }
  | { readonly kind: "package"; readonly name: string }
  | { readonly kind: "unit"; readonly name: string }
  | { readonly kind: "user"; readonly name: string }
  | { readonly kind: "group"; readonly name: string }
  /** A read-only shell line (`unless`); the answer is its exit code. */
  | { readonly kind: "shell"; readonly line: string; readonly cwd?: string | undefined }
  /** Handlers left over from an interrupted run of the blueprint with this name. */
  | { readonly kind: "journal"; readonly blueprint: string };

export type ProbeKind = Probe["kind"];
export type ProbeOf<K extends ProbeKind> = Extract<Probe, { kind: K }>;

export interface Answers {
  stat: Stat;
  /** Hex; undefined: not a readable regular file. */
  sha256: string | undefined;
  /** `readable: false`: the file is there but may not be read, so `present` says nothing. */
  line: { readonly present: boolean; readonly readable: boolean };
  entries: { readonly empty: boolean };
  content: { readonly bytes: Buffer; readonly truncated: boolean } | undefined;
  package: PackageFact;
  unit: UnitFact;
  user: UserFact | undefined;
  group: GroupFact | undefined;
  shell: { readonly code: number };
  journal: { readonly handlers: readonly string[] };
}

/** `unknown`: the target could not tell (a parent may not be entered); never taken for absent. */
export type Stat =
  | { readonly state: "absent" }
  | { readonly state: "unknown"; readonly reason: string }
  | {
      readonly state: "present";
      readonly type: "file" | "directory" | "link" | "other";
      /** Octal without leading zero: `644`, `1777`. */
      readonly mode: string;
      readonly uid: number;
      readonly gid: number;
      /** Names, or the number again where there is no name. */
      readonly owner: string;
      readonly group: string;
      readonly size: number;
      /** Only for links: where it points, as written. */
      readonly target?: string | undefined;
      /** Only for links: what the far end is, when it exists. */
      readonly leadsTo?: "file" | "directory" | "other" | undefined;
    };

export type PackageFact =
  | { readonly manager: undefined }
  | { readonly manager: "apt"; readonly installed: false; readonly known: boolean | undefined }
  | {
      readonly manager: "apt";
      readonly installed: true;
      readonly version: string;
      /** The name is no package of its own; this installed one provides it. */
      readonly providedBy?: string | undefined;
    };

export type UnitFact =
  | { readonly manager: undefined }
  /** `near`: a unit that is there and has almost this name. */
  | { readonly manager: "systemd"; readonly found: false; readonly near?: string | undefined }
  | {
      readonly manager: "systemd";
      readonly found: true;
      /** `active`, `inactive`, `failed`, `activating` ... */
      readonly active: string;
      /** `enabled`, `disabled`, `static`, `masked`, `alias` ...; empty when systemd has none. */
      readonly enabled: string;
      readonly needsReload: boolean;
    };

export interface UserFact {
  readonly uid: number;
  readonly gid: number;
  readonly comment: string;
  readonly home: string;
  readonly shell: string;
  /** Name of the primary group. */
  readonly group: string;
  /** Supplementary groups, sorted. */
  readonly groups: readonly string[];
}

export interface GroupFact {
  readonly gid: number;
  readonly members: readonly string[];
}

/** What is known about a machine itself. Everything templates may use as `host.*`, `name` apart. */
export interface OsFacts {
  /** `linux`, `macos`, `freebsd`, `windows`. */
  readonly os: string;
  /** `debian`, `ubuntu`, `alpine`, `macos`: ID of os-release. */
  readonly distro: string;
  /** VERSION_ID of os-release: `12`. */
  readonly version: string;
  /** ID_LIKE, split. */
  readonly like: readonly string[];
  /** `x64`, `arm64`, or what uname says. */
  readonly arch: string;
  readonly kernel: string;
  readonly hostname: string;
  /** The effective user there. */
  readonly user: string;
  readonly uid: number;
  readonly home: string;
}

/** Answers by probe. Asking for one that was not probed is a bug and throws. */
export interface Facts {
  get<K extends ProbeKind>(probe: ProbeOf<K>): Answers[K];
}

/** Identity of a probe. */
export function probeKey(probe: Probe): string {
  return JSON.stringify(Object.entries(probe).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Facts from pairs: how a plan is tested as a table, and how the engine hands over what it read. */
export function createFacts(): Facts & {
  set<K extends ProbeKind>(probe: ProbeOf<K>, answer: Answers[K]): void;
  clear(): void;
} {
  const answers = new Map<string, unknown>();
  return {
    set(probe, answer) {
      answers.set(probeKey(probe), answer);
    },
    clear() {
      answers.clear();
    },
    get(probe) {
      const key = probeKey(probe);
      if (!answers.has(key)) throw new Error(`fact was not probed: ${key}`);
      return answers.get(key) as never;
    },
  };
}
