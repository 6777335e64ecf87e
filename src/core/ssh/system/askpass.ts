/**
 * Askpass: the questions of ssh on their way to whoever can answer. ssh starts a little program for each; it says the
 * question on stderr between two marks that nobody else can know, and reads the answer from a pipe of ours.
 */
import { visible } from "../../visible.ts";
import type { Question } from "../options.ts";

/** The program: `$0` lies beside the pipe `answer`. `y` and the answer, or nothing: no answer. */
export const askpassProgram = `#!/bin/sh
printf '%s%s\\n%s%s' "$AMI_NODE_ASK" "$SSH_ASKPASS_PROMPT" "$1" "$AMI_NODE_ASK" >&2
[ "$SSH_ASKPASS_PROMPT" = none ] && exit 0
IFS= read -r answer <"\${0%/*}/answer" || exit 1
case $answer in
y*) printf '%s\\n' "\${answer#y}" ;;
*) exit 1 ;;
esac
`;

export interface Asked {
  /** `none`: nothing to answer, only to know (touch the key). */
  readonly kind: "none" | "question";
  readonly text: string;
}

/** Takes what is said on stderr apart: questions, and all the rest. */
export function createAskpassReader(mark: string): (said: string) => { asked: readonly Asked[]; rest: string } {
  let held = "";
  return (said) => {
    const parts = (held + said).split(mark);
    // A question is what stands between two marks; a mark may have been cut by the end of what came.
    const isOpen = parts.length % 2 === 0;
    const last = parts.at(-1) ?? "";
    const whole = isOpen ? parts.slice(0, -2) : parts.slice(0, -1);
    const before = isOpen ? (parts.at(-2) ?? "") : last;
    const cut = isOpen ? 0 : cutOff(last, mark);
    held = isOpen ? mark + last : last.slice(last.length - cut);
    const rest = whole.filter((_, i) => i % 2 === 0).join("") + before.slice(0, before.length - cut);
    const asked = whole.filter((_, i) => i % 2 === 1).map(readAsked);
    return { asked, rest };
  };
}

/** How many characters at the end of `text` may be the beginning of the mark. */
function cutOff(text: string, mark: string): number {
  for (let length = Math.min(text.length, mark.length - 1); length > 0; length--)
    if (mark.startsWith(text.slice(-length))) return length;
  return 0;
}

function readAsked(text: string): Asked {
  const end = text.indexOf("\n");
  return { kind: text.slice(0, end) === "none" ? "none" : "question", text: text.slice(end + 1) };
}

/** What ssh asks, in our words. */
export function questionOf(host: string, asked: string, attempt: number): Question {
  const text = visible(asked); // some of it is the server's
  if (/^Enter (passphrase|PIN) for /.test(text)) return { kind: "passphrase", host: "", text, echo: false, attempt };
  if (/continue connecting \(yes\/no|type 'yes', 'no' or/.test(text))
    return { kind: "host-key", host, text, echo: true, attempt };
  if (/password:\s*$/i.test(text)) return { kind: "password", host, text, echo: false, attempt };
  return { kind: "challenge", host, text, echo: false, attempt };
}
