import { expect, it } from "vitest";
import { readOs } from "../../../../src/core/provision/os.ts";

const debian = `Linux web1 6.1.0-18-amd64 x86_64
uid=0(root) gid=0(root) groups=0(root)
/root
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
ID=debian
`;
const ubuntu = `Linux u 5.15.0 aarch64
uid=1000(ann) gid=1000(ann) groups=1000(ann),27(sudo)
/home/ann
ID=ubuntu
ID_LIKE="debian other"
VERSION_ID='22.04'
`;
const macos = `Darwin mac.local 23.1.0 arm64
uid=501(ann) gid=20(staff) groups=20(staff)
/Users/ann
ProductName:\t\tmacOS
ProductVersion:\t\t14.1
BuildVersion:\t\t23B74
`;

it.each([
  [
    "debian",
    debian,
    {
      os: "linux",
      distro: "debian",
      version: "12",
      like: [],
      arch: "x64",
      kernel: "6.1.0-18-amd64",
      hostname: "web1",
      user: "root",
      uid: 0,
      home: "/root",
    },
  ],
  [
    "ubuntu",
    ubuntu,
    {
      os: "linux",
      distro: "ubuntu",
      version: "22.04",
      like: ["debian", "other"],
      arch: "arm64",
      kernel: "5.15.0",
      hostname: "u",
      user: "ann",
      uid: 1000,
      home: "/home/ann",
    },
  ],
  [
    "macos (written from the documented formats)",
    macos,
    {
      os: "macos",
      distro: "macos",
      version: "14.1",
      like: [],
      arch: "arm64",
      kernel: "23.1.0",
      hostname: "mac.local",
      user: "ann",
      uid: 501,
      home: "/Users/ann",
    },
  ],
])("reads %s", (_name, text, facts) => {
  expect(readOs(text)).toEqual(facts);
});
