/** The terminal's door: version at once, everything else as the words ask; then an exit code, with all output flushed. */
import { version } from "./core/version.ts";

const argv = process.argv.slice(2);

if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
  process.stdout.once("error", (error: Error) => void lose(error)).write(`${version}\n`);
} else if (argv[0] === "ssh" && argv[1] === "execute") {
  void hand();
} else {
  void open();
}

/** The broker's client leaves by itself when there is nothing left to do. */
async function hand(): Promise<void> {
  const { handOver } = await import("./cli/hand-over.ts");
  if ((await handOver(argv, process.env)) === undefined) await open();
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
