/** content: bytes of files, for diffs. Framed by index and length, so that any bytes come through. */
import { quote } from "../../argv.ts";
import type { Answers } from "../../facts.ts";
import { defineProbe } from "./probe.ts";

const limit = 256 * 1024;

export const probe = defineProbe({
  kind: "content",
  sh(probes) {
    return probes
      .map(({ path }, index) => {
        const p = quote(path);
        return `if [ -f ${p} ] && [ -r ${p} ]; then n=$(($(wc -c <${p}))); t=0; [ $n -gt ${limit} ] && n=${limit} t=1; printf '%s %s %s\\n' ${index} $n $t; head -c $n ${p}; echo; fi`;
      })
      .join("\n");
  },
  parse(output, probes) {
    const answers: Answers["content"][] = probes.map(() => undefined);
    let at = 0;
    while (at < output.length) {
      const end = output.indexOf(10, at);
      const head = end < 0 ? null : /^(\d+) (\d+) ([01])$/.exec(output.subarray(at, end).toString("latin1"));
      if (!head) throw new Error("a file changed its size while it was read");
      const length = Number(head[2]);
      answers[Number(head[1])] = { bytes: output.subarray(end + 1, end + 1 + length), truncated: head[3] === "1" };
      at = end + 1 + length + 1;
    }
    return answers;
  },
});
