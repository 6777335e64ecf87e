/** For fish 3 and later. */
export const fish = [
  "# fish completion of ami-node: ami-node completion fish | source",
  "function __ami_node_complete",
  "    set -l words (commandline -opc) (commandline -ct)",
  "    set -e words[1]",
  "    for line in (ami-node __complete $words 2>/dev/null)",
  '        if test "$line" = ":files"',
  "            __fish_complete_path (commandline -ct)",
  '        else if test -n "$line"',
  "            printf '%s\\n' $line",
  "        end",
  "    end",
  "end",
  "complete -c ami-node -f -a '(__ami_node_complete)'",
  "",
].join("\n");
