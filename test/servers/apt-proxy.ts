/**
 * Apt proxy: lets a guest on a private network fetch packages the way this machine does.
 *
 *   node apt-proxy.ts ADDRESS PORT CLIENT_ADDRESS
 *
 * Serves GET, HEAD and CONNECT to that one client, through this machine's own proxy where it has one. Prints `ready`,
 * and ends when stdin ends.
 */
import { execFileSync } from "node:child_process";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";

const [address, port, client] = process.argv.slice(2);
const upstream = ownProxy();

const server = createServer((incoming, answer) => {
  const url = URL.parse(incoming.url ?? "");
  if (incoming.socket.remoteAddress !== client || url?.protocol !== "http:") return void answer.writeHead(403).end();
  const via = upstream ?? url;
  const outgoing = request({
    host: via.hostname,
    port: via.port || 80,
    method: incoming.method,
    path: upstream === undefined ? url.pathname + url.search : url.href,
    headers: incoming.headers,
  });
  outgoing.on("response", (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(answer);
    response.on("error", () => answer.destroy());
  });
  outgoing.on("error", (error) => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end(String(error))));
  answer.on("close", () => outgoing.destroy());
  outgoing.end();
});

server.on("connect", (incoming, socket: Duplex) => {
  const [host = "", hostPort = "443"] = (incoming.url ?? "").split(":");
  if (incoming.socket.remoteAddress !== client) return void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  const out = connect(Number(upstream?.port || hostPort), upstream?.hostname ?? host, () => {
    if (upstream === undefined) socket.write("HTTP/1.1 200 OK\r\n\r\n");
    else out.write(`CONNECT ${incoming.url} HTTP/1.1\r\nHost: ${incoming.url}\r\n\r\n`);
    out.pipe(socket).pipe(out);
  });
  out.on("error", () => socket.destroy());
  socket.on("error", () => out.destroy());
});

server.listen(Number(port), address, () => process.stdout.write("ready\n"));
process.stdin.resume().on("end", () => process.exit(0));

/** The proxy that apt on this machine uses, if any. */
function ownProxy(): URL | undefined {
  const dump = execFileSync("apt-config", ["dump", "--format", "%f=%v%n", "Acquire::http::Proxy"], {
    encoding: "utf8",
  });
  const configured = /^Acquire::http::Proxy=(http:.+)$/m.exec(dump)?.[1];
  return URL.parse(configured ?? process.env.http_proxy ?? "") ?? undefined;
}
