/** Groups: what the verbs of a group have in common, in one line. */
export const groups: Readonly<Record<string, string>> = {
  audit: "the log of what was done on targets",
  config: "settings of ami-node itself",
  ssh: "run commands, open terminals and copy files over SSH",
  "ssh ca": "a certificate authority of your own",
  "ssh health": "what is remembered of hosts",
  "ssh jobs": "what ssh run started on a target",
  "ssh key": "keys to log in with: made, spread, replaced and taken back",
  "ssh key agent": "what the running ssh-agent holds",
  "ssh known-hosts": "the keys that hosts are known by",
  "ssh session": "terminals on a target that wait for who left them",
  "ssh tunnel": "the tunnels in the background",
  system: "what a machine is",
  vault: "secrets of yours, kept sealed on this machine",
};
