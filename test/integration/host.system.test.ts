/** A host that the ssh of this machine logs in to sits the Host exam. */
import { openHosts } from "../../src/core/hosts/open.ts";
import { parseTarget } from "../../src/core/targets.ts";
import { hostExam } from "../contract/host.ts";
import { needs } from "../servers/engines.ts";
import { startSshd } from "../servers/sshd.ts";

needs(
  "sshd",
  "ssh",
  "root",
)("the ssh of this machine", () => {
  hostExam(
    "ssh of the system",
    async () => {
      const sshd = await startSshd();
      const hosts = openHosts({ ssh: { configFile: sshd.configFile, env: {}, transport: "system" } });
      const host = await hosts.open(parseTarget(sshd.name));
      return { host, other: { user: "nobody" }, rc: ".bashrc", close: () => hosts.close().then(sshd.stop) };
    },
    { every: "words and codes take the way of the other ssh host" },
  );
});
