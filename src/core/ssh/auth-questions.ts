/** Auth questions: answers what the server wants to know from a person, or from memory. */
import type { AnyAuthMethod, KeyboardInteractiveCallback, Prompt } from "ssh2";
import type { Secret } from "../secret.ts";
import { visible } from "../visible.ts";
import type { Login, Method } from "./login.ts";

/** `fail` ends the login: whoever was asked wants to stop. */
export function createQuestions(login: Login, fail: (error: unknown) => void) {
  const asked = new Map<"password" | "challenge", number>();
  /** Methods nobody answered: not tried again. */
  const dead = new Set<Method>();
  let candidate: Secret | undefined;

  const ask = async (kind: "password" | "challenge", text: string, echo: boolean): Promise<Secret | undefined> => {
    const attempt = (asked.get(kind) ?? 0) + 1;
    asked.set(kind, attempt);
    if (kind === "challenge") login.memory.challenged = true;
    const known = kind === "password" && attempt === 1 ? login.memory.password : undefined;
    const question = { kind, host: login.name, text: `(${login.user}@${login.host}) ${text}`, echo, attempt };
    const answer = known ?? (await login.pause(async () => login.ask?.(question)));
    if (kind === "password") candidate = answer;
    return answer;
  };

  const answer = async (
    lead: string,
    prompts: readonly Prompt[],
    finish: KeyboardInteractiveCallback,
  ): Promise<void> => {
    const answers: string[] = [];
    for (const { prompt, echo = false } of prompts) {
      // PAM asks for a new one with the same means; that is no question to answer from memory.
      const isPassword = prompts.length === 1 && !echo && /password/i.test(prompt) && !/new|retype|again/i.test(prompt);
      const said = await ask(
        isPassword ? "password" : "challenge",
        visible(isPassword ? prompt : `${lead}${prompt}`),
        echo,
      );
      if (said === undefined) dead.add("keyboard-interactive");
      answers.push(said?.reveal() ?? "");
    }
    finish(answers);
  };

  return {
    canAnswer: (method: Method): boolean =>
      !dead.has(method) && (login.ask !== undefined || (login.memory.password !== undefined && !asked.has("password"))),
    /** Undefined: nobody answers. */
    async method(method: "keyboard-interactive" | "password"): Promise<AnyAuthMethod | undefined> {
      if (method === "keyboard-interactive") {
        return {
          type: method,
          username: login.user,
          prompt: (_name, instructions, _language, prompts, finish) =>
            void answer(instructions === "" ? "" : `${instructions.trim()} `, prompts, finish).catch(fail),
        };
      }
      const password = await ask("password", "Password: ", false);
      if (password !== undefined) return { type: method, username: login.user, password: password.reveal() };
      dead.add(method);
      return undefined;
    },
    remember(): void {
      login.memory.password = candidate ?? login.memory.password;
    },
  };
}
