/** For zsh 5 and later. */
export const zsh = [
  "#compdef ami-node",
  "# zsh completion of ami-node: source <(ami-node completion zsh), or save it as _ami-node in a folder of fpath",
  "_ami_node() {",
  "  local line word",
  "  local -a described",
  '  for line in "${(@f)$(ami-node __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do',
  "    case $line in",
  "      (:files) _files ;;",
  "      ('') ;;",
  "      (*) word=${line%%$'\\t'*}; described+=(\"${word//:/\\\\:}:${${line#\"$word\"}#$'\\t'}\") ;;",
  "    esac",
  "  done",
  "  (( $#described )) && _describe ami-node described",
  "}",
  'if [[ ${funcstack[1]} == _ami-node ]]; then _ami_node "$@"; else compdef _ami_node ami-node; fi',
  "",
].join("\n");
