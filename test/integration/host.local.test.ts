/** This machine sits the Host exam. */
import { hostExam } from "../contract/host.ts";
import { has } from "../servers/engines.ts";
import { localHost } from "../../src/core/hosts/local.ts";

const isRoot = process.getuid?.() === 0;

hostExam("local", async () => ({ host: localHost(), ...(isRoot ? { other: { user: "nobody" } } : {}) }), {
  ...(has("script") ? {} : { pty: "there is no script here, which gives local programs a terminal" }),
  ...(isRoot ? {} : { chown: "only root may give files away" }),
  limits: "takes more programs at once than a test should start",
});
