/** Latency inside one process: how long a login takes, and a command on a connection that is open. Milliseconds. */
import { openHosts } from "../src/core/hosts/open.ts";
import type { Target } from "../src/core/targets.ts";

export async function measureLatency(
  configFile: string,
  name: string,
  rounds = 10,
): Promise<{ connect: number[]; command: number[] }> {
  const target: Target = { kind: "ssh", name, host: name, vars: {}, groups: [] };
  const connect: number[] = [];
  const command: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const hosts = openHosts({ ssh: { configFile } });
    const begun = performance.now();
    const host = await hosts.open(target);
    connect.push(performance.now() - begun);
    for (let i = 0; i < 10; i++) {
      const at = performance.now();
      await host.exec(["true"]);
      command.push(performance.now() - at);
    }
    await hosts.close();
  }
  return { connect, command };
}
