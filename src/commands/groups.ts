/** Groups: what the verbs of a group have in common, in one line. */
export const groups: Readonly<Record<string, string>> = {
  config: "settings of ami-node itself",
  ssh: "run commands, open terminals and copy files over SSH",
  "ssh tunnel": "the tunnels in the background",
  system: "what a machine is",
};
