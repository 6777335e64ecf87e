/**
 * Info: what a machine is and has, from one program in one round trip. Whatever a machine cannot tell is absent,
 * never guessed. Sizes are bytes, times are seconds.
 */
import { z } from "zod";
import { AmiError } from "../core/errors.ts";
import { adapterOf, adapters, archName, osName } from "./detect.ts";
import { commonProgram, readCommon } from "./posix/common.ts";
import { endSection, readSections } from "./sections.ts";

const bytes = z.number().int().nonnegative();

export const systemInfo = z.object({
  hostname: z.string().optional(),
  os: z.object({
    name: z.string().describe("`linux`, `macos`, `windows`, `freebsd` ..."),
    pretty: z.string().optional().describe("As the system calls itself: `Debian GNU/Linux 12 (bookworm)`"),
    distro: z.string().optional().describe("ID of os-release: `debian`, `alpine`; on macOS and Windows the name again"),
    version: z.string().optional(),
    like: z.array(z.string()).describe("What the distribution is made from: `[debian]` for Ubuntu"),
    kernel: z.string().optional(),
    arch: z.string().describe("`x64`, `arm64`, or what the machine says"),
  }),
  login: z.object({ name: z.string(), uid: z.number().int().optional(), home: z.string().optional() }).optional(),
  hardware: z.object({ vendor: z.string().optional(), product: z.string().optional() }).optional(),
  cpu: z
    .object({
      model: z.string().optional(),
      sockets: z.number().int().optional(),
      cores: z.number().int().optional(),
      threads: z.number().int().optional().describe("Logical processors"),
      limit: z.number().optional().describe("Processors the container may use, when it is limited"),
      load: z.tuple([z.number(), z.number(), z.number()]).optional().describe("Load average of 1, 5 and 15 minutes"),
    })
    .optional(),
  memory: z
    .object({
      total: bytes,
      available: bytes.optional().describe("What programs could still get"),
      used: bytes.optional(),
      limit: bytes.optional().describe("Most the container may use, when that is less than the total"),
    })
    .optional(),
  swap: z.object({ total: bytes, used: bytes }).optional(),
  disks: z
    .array(
      z.object({
        mount: z.string(),
        device: z.string(),
        type: z.string().optional(),
        size: bytes.optional(),
        used: bytes.optional(),
        available: bytes.optional(),
        readOnly: z.boolean().optional(),
      }),
    )
    .optional()
    .describe("Mounted file systems that hold files; each device once"),
  network: z
    .object({
      interfaces: z
        .array(
          z.object({
            name: z.string(),
            state: z.enum(["up", "down"]).optional(),
            mac: z.string().optional(),
            mtu: z.number().int().optional(),
            addresses: z.array(z.string()).describe("`192.0.2.2/24`, `fd00::2/64`"),
          }),
        )
        .optional(),
      gateways: z.array(z.object({ address: z.string(), interface: z.string().optional() })).optional(),
      dns: z.object({ servers: z.array(z.string()), search: z.array(z.string()) }).optional(),
    })
    .optional(),
  packages: z
    .object({ manager: z.string().describe("The system's own: `apt`, `apk`, `brew`"), others: z.array(z.string()) })
    .optional(),
  services: z
    .object({
      manager: z.string().optional().describe("`systemd`, `openrc`, `runit`, `s6`, `sysvinit`, `launchd`"),
      init: z.string().optional().describe("Name of process 1"),
    })
    .optional(),
  virtualization: z
    .object({ vm: z.string().optional(), container: z.string().optional() })
    .optional()
    .describe("A hint, from what the machine gives away; absent on real hardware"),
  users: z
    .object({
      loggedIn: z
        .array(
          z.object({
            name: z.string(),
            terminal: z.string().optional(),
            from: z.string().optional(),
            since: z.string().optional().describe("As the machine writes it"),
          }),
        )
        .optional(),
      accounts: z.number().int().optional().describe("Local accounts with a shell to log in with"),
    })
    .optional(),
  uptime: z.number().nonnegative().optional(),
  time: z.object({
    now: z.string().optional().describe("The machine's clock, ISO 8601 in UTC"),
    zone: z.string().optional().describe("`Europe/Berlin`"),
    offset: z.string().optional().describe("`+0100`"),
    abbreviation: z.string().optional(),
  }),
  shell: z.string().optional().describe("What `sh` is: `dash`, `busybox`, `bash 5.2.15`"),
  tools: z.record(z.string(), z.string()).describe("Where programs people ask about are"),
});

export type SystemInfo = z.output<typeof systemInfo>;

/**
 * The program for any POSIX shell, to be given to `sh -s`. Prints sections; needs no tool but the shell, and uses
 * what it finds. One block, so that it is read whole before it runs and its children find an empty stdin.
 */
export const infoProgram = [
  "{",
  commonProgram,
  'case "$(uname -s)" in',
  ...adapters.flatMap((adapter) => [`${adapter.uname})`, adapter.program, ";;"]),
  "esac",
  `s ${endSection}`,
  "} </dev/null 2>/dev/null",
  "exit 0",
  "",
].join("\n");

/** Pure. Throws `host.unsupported` when the text is not the answer of the program or lacks its end. */
export function readInfo(text: string): SystemInfo {
  const sections = readSections(text);
  if (!sections.has(endSection)) {
    throw new AmiError("host.unsupported", "the machine did not answer the questions to the end", {
      hint: "it needs a POSIX shell named sh",
    });
  }
  const [uname = "", hostname, kernel, machine = ""] = (sections.get("uname") ?? "").split(" ");
  const common = readCommon(sections);
  const { os, ...own } = adapterOf(uname)?.read(sections) ?? {};
  return {
    hostname,
    os: {
      name: uname === "" ? "unknown" : osName(uname),
      like: [],
      kernel,
      arch: machine === "" ? "unknown" : archName(machine),
      ...os,
    },
    ...own,
    ...common,
    network: merged(common.network, own.network),
    users: merged(common.users, own.users),
    time: { ...common.time, ...own.time },
  };
}

function merged<T extends object>(common: T | undefined, own: T | undefined): T | undefined {
  return common === undefined ? own : { ...common, ...own };
}
