import { PassThrough, type Readable } from "node:stream";
import { expect, test } from "vitest";
import type { Exit } from "../../../../src/core/host.ts";
import { converse } from "../../../../src/core/hosts/converse.ts";
import type { Switch } from "../../../../src/core/hosts/switch.ts";
import { Secret } from "../../../../src/core/secret.ts";

/** A conversation with a program whose part the test plays. */
function talk(to: Partial<Switch>, mayAsk: boolean) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const exit = Promise.withResolvers<Exit>();
  let isAbandoned = false;
  const process = converse(
    { stdin, stdout, stderr, exit: exit.promise, abandon: () => void (isAbandoned = true) },
    { name: "web1", to: { user: "root", method: "sudo", ...to }, mark: "MARK:", prompt: "PROMPT:", mayAsk, pty: false },
  );
  const end = (code: number): void => (stderr.end(), stdout.end(), exit.resolve({ code }));
  return { process, stdin, stderr, end, isAbandoned: () => isAbandoned };
}

async function next(stream: Readable): Promise<string> {
  return String(
    stream.read() ?? (await new Promise((resolve) => stream.once("readable", () => resolve(stream.read())))),
  );
}

const password = new Secret("pw");

test("the password goes out when it is asked for, and the program's stdin after the switch", async () => {
  const { process, stdin, stderr, end } = talk({ password }, true);
  process.stdin.end("mine");
  stderr.write("We trust you have received the usual lecture:\n\n");
  stderr.write("PROM");
  expect(stdin.read()).toBeNull();
  stderr.write("PT:");
  expect(await next(stdin)).toBe("pw\n");
  stderr.write("MARK:1;err");
  await process.started;
  expect(await next(stdin)).toBe("mine");
  expect(await next(process.stderr)).toBe("MARK:1;err");
  end(0);
});

test("without a question the password stays here", async () => {
  const { process, stdin, stderr, end } = talk({ password }, true);
  process.stdin.end("mine");
  stderr.write("sudo: unable to resolve host web1\nMARK:1;");
  await process.started;
  expect(await next(stdin)).toBe("mine");
  expect(await next(process.stderr)).toBe("sudo: unable to resolve host web1\nMARK:1;");
  end(0);
});

test.each(["Password: ", "\rdoas (joe@web1) password: ", "Passwort:", "パスワード：", "Verification code: "])(
  "%j is a question in any language",
  async (question) => {
    const { process, stdin, stderr, end } = talk({ method: "su", password }, true);
    stderr.write(question);
    expect(await next(stdin)).toBe("pw\n");
    end(1);
    await expect(process.started).rejects.toMatchObject({ code: "host.become" });
  },
);

test("a second question means that the answer was wrong", async () => {
  const { process, stdin, stderr, isAbandoned } = talk({ password }, true);
  stderr.write("PROMPT:");
  await next(stdin);
  stderr.write("Sorry, try again.\nPROMPT:");
  await expect(process.started).rejects.toThrow(/password was not accepted/);
  expect(isAbandoned()).toBe(true);
});

test("the beginning of a complaint is no question", async () => {
  const { process, stdin, stderr, end } = talk({ method: "doas", password }, true);
  stderr.write("doas: ");
  stderr.write("Operation not permitted\n");
  end(1);
  await expect(process.started).rejects.toThrow(/become root: doas: Operation not permitted$/);
  expect(stdin.read()).toBeNull();
});

test("a question without a password to give is refused", async () => {
  const { process, stderr } = talk({ method: "su" }, true);
  stderr.write("Password: ");
  await expect(process.started).rejects.toMatchObject({ hint: expect.stringContaining("--ask-become-pass") });
});

test.each([
  ["sudo: a password is required\n", /password is required$/, /--ask-become-pass/],
  ["sh: 1: exec: sudo: not found\n", /not found$/, /sudo is not installed/],
  ["su: user app does not exist\n", /does not exist$/, /there is no user/],
  ["", /ended without a word$/, /rules of sudo/],
])("%j is told with what to try", async (said, message, hint) => {
  const { process, stderr, end } = talk({}, false);
  stderr.write(said);
  end(1);
  await expect(process.started).rejects.toMatchObject({
    code: "host.become",
    host: "web1",
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  });
});
