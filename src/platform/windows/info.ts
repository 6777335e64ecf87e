/** Windows: the same questions, asked of PowerShell 5 or later, which answers in JSON. */
import { z } from "zod";
import type { Argv } from "../../core/argv.ts";
import { AmiError } from "../../core/errors.ts";
import { archName } from "../detect.ts";
import type { SystemInfo } from "../info.ts";

/** Short, as cmd.exe takes no more than 8191 characters and the encoding makes almost three of one. */
const script = `
$ErrorActionPreference='SilentlyContinue'; $ProgressPreference='SilentlyContinue'
[Console]::OutputEncoding=[Text.Encoding]::UTF8
$o=Get-CimInstance Win32_OperatingSystem; $c=Get-CimInstance Win32_ComputerSystem; $p=@(Get-CimInstance Win32_Processor)
$g=Get-CimInstance Win32_PageFileUsage; $u=[Security.Principal.WindowsIdentity]::GetCurrent().Name
ConvertTo-Json -Compress -Depth 4 @{
host=$env:COMPUTERNAME; os=$o.Caption; version=$o.Version; arch=$env:PROCESSOR_ARCHITECTURE; user=$u; home=$env:USERPROFILE
vendor=$c.Manufacturer; product=$c.Model; vm=$c.HypervisorPresent
cpu=$p[0].Name; sockets=$p.Count; cores=($p|Measure-Object NumberOfCores -Sum).Sum; threads=$c.NumberOfLogicalProcessors
total=$o.TotalVisibleMemorySize; free=$o.FreePhysicalMemory
swap=($g|Measure-Object AllocatedBaseSize -Sum).Sum; swapUsed=($g|Measure-Object CurrentUsage -Sum).Sum
boot=$o.LastBootUpTime.ToUniversalTime().ToString('o'); now=[DateTime]::UtcNow.ToString('o'); zone=(Get-TimeZone).Id
disks=@(Get-CimInstance Win32_LogicalDisk|?{$_.Size}|%{@{mount=$_.DeviceID;type=$_.FileSystem;size=$_.Size;free=$_.FreeSpace}})
net=@(Get-CimInstance Win32_NetworkAdapterConfiguration|?{$_.IPEnabled}|%{@{name=$_.Description;mac=$_.MACAddress;ip=@($_.IPAddress);mask=@($_.IPSubnet);gw=@($_.DefaultIPGateway);dns=@($_.DNSServerSearchOrder)}})
tools=@(Get-Command winget,choco,scoop,docker,python,git,tar,curl.exe -CommandType Application|%{$_.Source}) }`;

export const infoArgv: Argv = [
  "powershell",
  "-NoProfile",
  "-NonInteractive",
  "-EncodedCommand",
  Buffer.from(script.trim(), "utf16le").toString("base64"),
];

const text = z.string().nullish();
const number = z.number().nullish();
/** PowerShell writes an empty list as null and, nested, a list of one as itself. */
const texts = z.union([z.string(), z.array(z.string().nullable())]).nullish();

const answer = z.object({
  host: text,
  os: text,
  version: text,
  arch: text,
  user: text,
  home: text,
  vendor: text,
  product: text,
  vm: z.boolean().nullish(),
  cpu: text,
  sockets: number,
  cores: number,
  threads: number,
  total: number,
  free: number,
  swap: number,
  swapUsed: number,
  boot: text,
  now: text,
  zone: text,
  disks: z.array(z.object({ mount: z.string(), type: text, size: z.number(), free: number })).nullish(),
  net: z.array(z.object({ name: z.string(), mac: text, ip: texts, mask: texts, gw: texts, dns: texts })).nullish(),
  tools: texts,
});

/** Pure. Throws `host.unsupported` when it is not the answer of the script. */
export function readWindowsInfo(said: string): SystemInfo {
  const a = parse(said);
  const [boot, now] = [Date.parse(a.boot ?? ""), Date.parse(a.now ?? "")];
  const tools = Object.fromEntries(
    list(a.tools).map((path) => [
      (path.split("\\").at(-1) ?? path).replace(/\.(exe|cmd|bat)$/i, "").toLowerCase(),
      path,
    ]),
  );
  const [manager, ...others] = ["winget", "choco", "scoop"].filter((name) => name in tools);
  const nets = a.net ?? [];
  const kib = (value: number | null | undefined, scale: number): number | undefined =>
    value === null || value === undefined ? undefined : value * scale;
  const [total, free] = [kib(a.total, 1024), kib(a.free, 1024)];
  const [swap, swapUsed] = [kib(a.swap, 1048576), kib(a.swapUsed, 1048576)];
  return {
    hostname: a.host ?? undefined,
    os: {
      name: "windows",
      distro: "windows",
      pretty: a.os?.trim(),
      version: a.version ?? undefined,
      like: [],
      kernel: a.version ?? undefined,
      arch: archName(a.arch ?? "unknown"),
    },
    login: a.user ? { name: a.user, home: a.home ?? undefined } : undefined,
    hardware: { vendor: a.vendor ?? undefined, product: a.product ?? undefined },
    cpu: {
      model: a.cpu?.trim(),
      sockets: a.sockets ?? undefined,
      cores: a.cores ?? undefined,
      threads: a.threads ?? undefined,
    },
    memory:
      total === undefined ? undefined : { total, available: free, used: free === undefined ? undefined : total - free },
    swap: swap === undefined || swapUsed === undefined ? undefined : { total: swap, used: swapUsed },
    disks: (a.disks ?? []).map((disk) => ({
      mount: disk.mount,
      device: disk.mount,
      type: disk.type ?? undefined,
      size: disk.size,
      available: disk.free ?? undefined,
      used: disk.free === null || disk.free === undefined ? undefined : disk.size - disk.free,
    })),
    network: {
      interfaces: nets.map((net) => ({
        name: net.name,
        state: "up",
        mac: net.mac?.toLowerCase(),
        addresses: list(net.ip).map((ip, index) => `${ip}/${prefixOf(list(net.mask)[index])}`),
      })),
      gateways: nets.flatMap((net) => list(net.gw).map((address) => ({ address, interface: net.name }))),
      dns: { servers: [...new Set(nets.flatMap((net) => list(net.dns)))], search: [] },
    },
    packages: manager === undefined ? undefined : { manager, others },
    services: { manager: "scm" },
    virtualization:
      a.vm === true && /virtual|vmware|kvm|qemu|xen|hvm/i.test(`${a.vendor} ${a.product}`)
        ? { vm: "unknown" }
        : undefined,
    uptime: Number.isNaN(boot) || Number.isNaN(now) ? undefined : Math.max(0, Math.round((now - boot) / 1000)),
    time: { now: Number.isNaN(now) ? undefined : new Date(now).toISOString(), zone: a.zone ?? undefined },
    tools,
  };
}

function parse(said: string): z.output<typeof answer> {
  try {
    return answer.parse(JSON.parse(said.replace(/^\uFEFF/, "")));
  } catch (error) {
    throw new AmiError("host.unsupported", "PowerShell did not answer the questions", {
      hint: "it needs PowerShell 5 or later",
      cause: error,
    });
  }
}

function list(value: z.output<typeof texts>): string[] {
  return [value].flat().filter((word) => typeof word === "string");
}

/** `255.255.255.0` for IPv4, `64` for IPv6. */
function prefixOf(mask: string | undefined): string {
  if (mask === undefined) return "";
  if (!mask.includes(".")) return mask;
  const bits = mask
    .split(".")
    .map((byte) => Number(byte).toString(2))
    .join("");
  return String(bits.replaceAll("0", "").length);
}
