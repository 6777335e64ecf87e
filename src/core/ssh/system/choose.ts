/** Choose: which transport reaches a server, ours (ssh2) or the ssh of this machine, and why it cannot be ours. */
import { AmiError } from "../../errors.ts";
import { algorithms } from "../algorithms.ts";
import { matchesPattern } from "../config/patterns.ts";
import type { SshConfig } from "../config/ssh-config.ts";
import type { KeyChoice } from "../identities.ts";
import { typeOfKeyFile } from "../keys.ts";
import type { SshOptions } from "../options.ts";

export type Choice =
  | { readonly transport: "ssh2" }
  | {
      readonly transport: "system";
      /** Undefined: the user wants it so. */
      readonly why: string | undefined;
      /** Every login takes a touch or a PIN. */
      readonly takesHands: boolean;
    };

export async function chooseTransport(
  config: SshConfig,
  { transport: wish }: Pick<SshOptions, "transport">,
  { explicitFiles }: Pick<KeyChoice, "explicitFiles">,
): Promise<Choice> {
  if (wish === "ssh2") return { transport: "ssh2" };
  const token = await tokenKey(config, explicitFiles);
  const takesHands = token !== undefined;
  if (wish === "system") return { transport: "system", why: undefined, takesHands };
  const why = token ?? beyondUs(config) ?? onlyOtherWaysIn(config) ?? noAlgorithm(config);
  return why === undefined ? { transport: "ssh2" } : { transport: "system", why, takesHands };
}

/** Options without which the server cannot be reached, or not the way its owner wants it. */
function beyondUs({ unsupported }: SshConfig): string | undefined {
  const found = unsupported.find(({ option }) => needed.has(option));
  return found === undefined ? undefined : place(found);
}

const needed: ReadonlySet<string> = new Set(["ProxyUseFdpass", "KnownHostsCommand", "BindInterface"]);

/** Keys that do not leave their hardware. */
async function tokenKey(config: SshConfig, explicitFiles: readonly string[]): Promise<string | undefined> {
  const option = config.unsupported.find((each) => each.option === "PKCS11Provider" && config.pubkeyAuthentication);
  if (option !== undefined) return place(option);
  const files = [...explicitFiles, ...config.identityFiles];
  const types = await Promise.all(files.map(typeOfKeyFile));
  const isToken = (type: string | undefined): boolean => type?.startsWith("sk-") === true;
  const found = files.find((_, i) => isToken(types[i]));
  if (found === undefined) return undefined;
  // One of the usual names among others: those may do.
  const isNamed = config.identityFilesExplicit || explicitFiles.includes(found);
  const hasOthers = types.some((type) => type !== undefined && !isToken(type));
  return isNamed || !hasOthers ? `${found} is a key on a security token` : undefined;
}

/** Kerberos or the host's own key is the way in, and nothing else is. Debian switches GSSAPI on for every host. */
function onlyOtherWaysIn(config: SshConfig): string | undefined {
  const other = config.unsupported.find(({ option }) => otherWays.has(option));
  if (other === undefined) return undefined;
  const order = config.preferredAuthentications?.split(",").map((word) => word.trim());
  const ours = [
    config.pubkeyAuthentication && "publickey",
    config.passwordAuthentication && "password",
    config.kbdInteractiveAuthentication && "keyboard-interactive",
  ].filter((method) => method !== false && (order?.includes(method) ?? true));
  return ours.length === 0 ? place(other) : undefined;
}

const otherWays: ReadonlySet<string> = new Set(["GSSAPIAuthentication", "HostbasedAuthentication"]);

/** The config names algorithms, and we have none of them: a key exchange that withstands quantum computers, say. */
function noAlgorithm(config: SshConfig): string | undefined {
  try {
    algorithms(config, [], true); // certificates count: whether there is an authority for them is not the question
    return undefined;
  } catch (error) {
    const wishes = [config.kexAlgorithms, config.ciphers, config.macs, config.hostKeyAlgorithms];
    const patterns = wishes.flatMap((wish) => wish?.replace(/^[+^]/, "").split(",") ?? []);
    const isKnown = patterns.some((pattern) => onlyInOpenSsh.some((name) => matchesPattern(name, pattern)));
    // What ssh does not know either, it cannot help with.
    return isKnown && error instanceof AmiError ? error.message : undefined;
  }
}

const onlyInOpenSsh = [
  "mlkem768x25519-sha256",
  "sntrup761x25519-sha512",
  "sntrup761x25519-sha512@openssh.com",
  "chacha20-poly1305@openssh.com", // not in every runtime
  ...["umac-64", "umac-128"].flatMap((name) => [`${name}@openssh.com`, `${name}-etm@openssh.com`]),
  ...["sk-ssh-ed25519", "sk-ecdsa-sha2-nistp256"].flatMap((name) => [
    `${name}@openssh.com`,
    `${name}-cert-v01@openssh.com`,
  ]),
];

function place({ option, value, file, line }: SshConfig["unsupported"][number]): string {
  return `${option} ${value}, ${line === 0 ? file : `${file}:${line}`}`;
}
