/** The terminal's door: version at once, everything else as the words ask; then an exit code, with all output flushed. */
import { version } from "./core/version.ts";

const argv = process.argv.slice(2);

if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
  process.stdout.once("error", (error: Error) => void lose(error)).write(`${version}\n`);
} else {
  void open();
}

async function open(): Promise<void> {
  const [{ mendStdin }, { main }, { listen }] = await Promise.all([
    import("./core/runtime-compat.ts"),
    import("./cli/main.ts"),
    import("./cli/process.ts"),
  ]);
  mendStdin();
  const { leave, ...heard } = listen();
  await leave(await main(argv, { stdio: process, env: process.env, ...heard }));
}

async function lose(error: Error): Promise<void> {
  const { tellLoss } = await import("./cli/process.ts");
  if (tellLoss({ name: "stdout", error })) process.exitCode = 1;
}
