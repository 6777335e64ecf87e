/** Listen: on the other side of a connection that ssh holds; what is accepted there comes to a socket of ours. */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { type Server, createServer } from "node:net";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import type { Endpoint, Listening } from "../../host.ts";
import { type RemoteListener, closeRemote, openRemote } from "./control.ts";

/** `control`: the socket of the ssh. Rejects with a plain Error that holds the reason. */
export async function listenThere(
  control: string,
  at: Endpoint,
  accept: (stream: Duplex) => void,
): Promise<Listening & { end(): void }> {
  const socket = join(dirname(control), randomBytes(6).toString("hex"));
  const server = createServer({ allowHalfOpen: true }, (stream) => {
    stream.on("error", () => undefined); // told by its end
    accept(stream);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(socket, resolve));
  const listener: RemoteListener = { at: there(at), socket };
  const end = (): void => stop(server, socket);
  try {
    const port = await openRemote(control, listener);
    let isOpen = true;
    return {
      at: "port" in at && port !== undefined ? { host: at.host, port } : at,
      end,
      async close() {
        if (!isOpen) return;
        isOpen = false;
        await closeRemote(control, listener);
        end();
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}

function there(at: Endpoint): RemoteListener["at"] {
  return "port" in at && at.host === "" ? { host: "*", port: at.port } : at;
}

/** What was accepted goes on. */
function stop(server: Server, socket: string): void {
  server.close();
  void rm(socket, { force: true });
}
