/** Virtualization: is it a guest or a container, and what is the box called? Hints, from what the machine gives away. */
import type { OwnInfo } from "../detect.ts";
import { linesOf, type Sections } from "../sections.ts";

export const virtualizationProgram = String.raw`
if have systemd-detect-virt; then
  s detect-vm; systemd-detect-virt --vm
  s detect-container; systemd-detect-virt --container
fi
s virt-signs
[ -e /.dockerenv ] && echo docker
[ -e /run/.containerenv ] && echo podman
show /run/systemd/container
[ -d /proc/vz ] && [ ! -d /proc/bc ] && echo openvz
[ -n "$KUBERNETES_SERVICE_HOST" ] && echo kubernetes
have tr && have grep && tr '\0' '\n' </proc/1/environ | grep '^container='
have grep && grep -o -m1 -E 'docker|lxc|kubepods|libpod|containerd' /proc/1/cgroup
s dmi-vendor; show /sys/class/dmi/id/sys_vendor
s dmi-product; show /sys/class/dmi/id/product_name
s board; have tr && tr -d '\0' </proc/device-tree/model
s xen; show /sys/hypervisor/type
s hypervisor; have grep && grep -c -m1 -E '^flags.* hypervisor( |$)' /proc/cpuinfo`.trim();

export function readVirtualization(sections: Sections): OwnInfo["virtualization"] {
  const container = answered(sections, "detect-container") ?? containerOf(linesOf(sections, "virt-signs"));
  const vm = wsl(sections) ?? answered(sections, "detect-vm") ?? vmOf(sections);
  return container === undefined && vm === undefined ? undefined : { vm, container };
}

/** undefined when systemd-detect-virt is missing or says none. */
function answered(sections: Sections, name: string): string | undefined {
  const word = sections.get(name)?.trim();
  return word === undefined || word === "" || word === "none" || word === "wsl" ? undefined : word;
}

function containerOf(signs: readonly string[]): string | undefined {
  const words = signs.map((sign) => sign.replace(/^container=/, "").trim());
  const first = words.find((word) => /^[a-z][a-z0-9-]*$/.test(word));
  return first === undefined ? undefined : (containerNames[first] ?? first);
}

const containerNames: Readonly<Record<string, string>> = { libpod: "podman", kubepods: "kubernetes" };

/** The kernel of WSL says who built it: `5.15.153.1-microsoft-standard-WSL2`. */
function wsl(sections: Sections): string | undefined {
  const kernel = (sections.get("uname") ?? "").split(" ")[2] ?? "";
  return /microsoft/i.test(kernel) ? "wsl" : undefined;
}

function vmOf(sections: Sections): string | undefined {
  const dmi = `${sections.get("dmi-vendor") ?? ""} ${sections.get("dmi-product") ?? ""}`;
  const known = dmiNames.find(([pattern]) => pattern.test(dmi))?.[1];
  if (known !== undefined) return known;
  if ((sections.get("xen") ?? "").trim() === "xen") return "xen";
  return (sections.get("hypervisor") ?? "").trim() === "1" ? "unknown" : undefined;
}

const dmiNames: readonly (readonly [RegExp, string])[] = [
  [/VMware/, "vmware"],
  [/innotek|VirtualBox/, "oracle"],
  [/Microsoft Corporation Virtual Machine/, "microsoft"],
  [/Parallels/, "parallels"],
  [/Xen|HVM domU/, "xen"],
  [/Amazon EC2/, "amazon"],
  [/Google Compute Engine|Google Google/, "google"],
  [/BHYVE/, "bhyve"],
  [/KVM|OpenStack|DigitalOcean|Hetzner vServer/, "kvm"],
  [/QEMU/, "qemu"],
];

/** Who built it and what they call it: from the firmware on PCs, from the device tree on boards. */
export function readHardware(sections: Sections): OwnInfo["hardware"] {
  const vendor = said(sections.get("dmi-vendor"));
  const product = said(sections.get("dmi-product")) ?? said(sections.get("board"));
  return vendor === undefined && product === undefined ? undefined : { vendor, product };
}

/** Firmware makers leave their own placeholders. */
function said(text: string | undefined): string | undefined {
  const word = text?.trim();
  if (
    word === undefined ||
    word === "" ||
    /^(to be filled|default string|system (product|manufacturer)|not specified|none$)/i.test(word)
  )
    return undefined;
  return word;
}
