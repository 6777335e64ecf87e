/** shell: exit codes of read-only shell lines; each in a subshell of its own, with the user's locale and umask. */
import { quote } from "../../argv.ts";
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  kind: "shell",
  sh(probes) {
    return probes
      .map(({ line, cwd }) => {
        const cd = cwd === undefined ? "" : `cd ${quote(cwd)} && `;
        return `( ${userEnvironment}; ${cd}eval ${quote(line)} ) >/dev/null 2>&1 </dev/null; echo $?`;
      })
      .join("\n");
  },
  parse(output, probes) {
    const codes = output.toString("latin1").trim().split("\n");
    if (codes.length !== probes.length || !codes.every((code) => /^[0-9]+$/.test(code))) {
      throw new Error(`${probes.length} lines were run, but the answer is: ${codes.join(" ").slice(0, 200)}`);
    }
    return codes.map((code) => ({ code: Number(code) }));
  },
});

/** What dialects/sh.ts saved before it fixed them for our own programs. */
const userEnvironment = `umask "\${AMI_U-022}"; if [ -n "\${AMI_L-}" ]; then LC_ALL=$AMI_L; else unset LC_ALL; fi`;
