/** Card: one machine for a person, a line for each thing. */
import { formatBytes } from "../core/bytes.ts";
import type { SystemInfo } from "./info.ts";

type Host = { readonly host: string } & (SystemInfo | { readonly error: { readonly message: string } });

/** Ends with a newline. Values that do not fit are wrapped under their column. */
export function card(host: Host, columns: number): string {
  if ("error" in host) return rows(host.host, [["error", [host.error.message]]], columns);
  const called =
    host.hostname === undefined || host.hostname === host.host ? host.host : `${host.host} (${host.hostname})`;
  return rows(called, linesOf(host), columns);
}

type Row = readonly [label: string, values: readonly string[]];

function linesOf(info: SystemInfo): Row[] {
  const { os, cpu, memory, swap, network, packages, services, virtualization, hardware, users, login, time } = info;
  return [
    [
      "system",
      [
        words([os.pretty ?? words([os.distro ?? os.name, os.version])]),
        ...(os.like.length > 0 ? [`like ${os.like.join(", ")}`] : []),
      ],
    ],
    ["kernel", [words([os.kernel, os.arch])]],
    ["machine", [words([hardware?.vendor, hardware?.product]), ...boxes(virtualization)]],
    [
      "cpu",
      cpu === undefined
        ? []
        : [
            cpu.model ?? "",
            counted(cpu.threads, "thread"),
            counted(cpu.cores, "core"),
            counted(cpu.sockets, "socket"),
            cpu.limit === undefined ? "" : `limited to ${cpu.limit}`,
          ],
    ],
    ["load", cpu?.load === undefined ? [] : [cpu.load.map((value) => value.toFixed(2)).join(" ")]],
    [
      "memory",
      memory === undefined
        ? []
        : [
            usage(memory.used, memory.total),
            memory.limit === undefined ? "" : `limited to ${formatBytes(memory.limit)}`,
          ],
    ],
    ["swap", swap === undefined ? [] : [swap.total === 0 ? "none" : usage(swap.used, swap.total)]],
    ...(info.disks ?? []).map((disk): Row => [
      "disk",
      [
        words([disk.mount, disk.size === undefined ? "" : usage(disk.used, disk.size)]),
        words([disk.device, disk.type]),
        disk.readOnly === true ? "read-only" : "",
      ],
    ]),
    ...(network?.interfaces ?? [])
      .filter((each) => each.addresses.length > 0 || each.state === "up")
      .map((each): Row => ["network", [words([each.name, each.state === "down" ? "(down)" : "", ...each.addresses])]]),
    [
      "gateway",
      (network?.gateways ?? []).map((gateway) =>
        words([gateway.address, gateway.interface === undefined ? "" : `on ${gateway.interface}`]),
      ),
    ],
    [
      "dns",
      network?.dns === undefined
        ? []
        : [words(network.dns.servers), network.dns.search.length === 0 ? "" : `search ${network.dns.search.join(" ")}`],
    ],
    ["packages", packages === undefined ? [] : [packages.manager, ...packages.others]],
    [
      "services",
      services === undefined
        ? []
        : [
            services.manager ?? "no manager runs",
            services.init === undefined || services.init === services.manager ? "" : `process 1 is ${services.init}`,
          ],
    ],
    [
      "users",
      users === undefined
        ? []
        : [users.loggedIn === undefined ? "" : loggedIn(users.loggedIn), counted(users.accounts, "login account")],
    ],
    [
      "login",
      login === undefined
        ? []
        : [login.uid === undefined ? login.name : `${login.name} (${login.uid})`, login.home ?? ""],
    ],
    ["uptime", info.uptime === undefined ? [] : [span(info.uptime)]],
    ["time", [words([time.now, time.zone, time.offset])]],
    ["shell", [info.shell ?? ""]],
    ["tools", [words(Object.keys(info.tools))]],
  ];
}

function rows(title: string, lines: readonly Row[], columns: number): string {
  const shown = lines
    .map(([label, values]) => [label, values.filter((value) => value !== "").join(", ")] as const)
    .filter(([, value]) => value !== "");
  const indent = 2 + Math.max(...shown.map(([label]) => label.length)) + 2;
  let last = "";
  const text = shown.map(([label, value]) => {
    const head = label === last ? "" : label;
    last = label;
    return `  ${head.padEnd(indent - 2)}${wrapped(value, Math.max(20, columns - indent)).join(`\n${" ".repeat(indent)}`)}\n`;
  });
  return `${title}\n${text.join("")}`;
}

/** Breaks at blanks only. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function boxes(virtualization: SystemInfo["virtualization"]): string[] {
  const { vm, container } = virtualization ?? {};
  return [
    container === undefined ? "" : `${container} container`,
    vm === undefined ? "" : vm === "unknown" ? "virtual machine" : `${vm} virtual machine`,
  ];
}

function loggedIn(users: readonly { name: string; from?: string | undefined }[]): string {
  if (users.length === 0) return "nobody logged in";
  const names = [...new Set(users.map(({ name, from }) => (from === undefined ? name : `${name} from ${from}`)))];
  return `logged in: ${names.join(" ")}`;
}

function usage(used: number | undefined, total: number): string {
  if (used === undefined) return formatBytes(total);
  return `${formatBytes(used)} of ${formatBytes(total)}${total === 0 ? "" : ` (${Math.round((used / total) * 100)} %)`}`;
}

function counted(count: number | undefined, what: string): string {
  return count === undefined ? "" : `${count} ${what}${count === 1 ? "" : "s"}`;
}

function span(seconds: number): string {
  const [days, hours, minutes] = [
    Math.floor(seconds / 86400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${counted(days, "day")} ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : counted(minutes, "minute");
}

function words(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== "").join(" ");
}
