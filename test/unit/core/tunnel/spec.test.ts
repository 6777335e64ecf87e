import { describe, expect, it } from "vitest";
import { endpointText, isLoopback } from "../../../../src/core/endpoint.ts";
import { type TunnelKind, parseService, parseTunnel } from "../../../../src/core/tunnel/spec.ts";

describe("tunnels as users of ssh write them", () => {
  const cases: readonly [TunnelKind, string, string, string][] = [
    ["local", "8080:db:5432", "localhost:8080", "db:5432"],
    ["local", "0:db:5432", "localhost:0", "db:5432"],
    ["local", "127.0.0.1:8080:db:5432", "127.0.0.1:8080", "db:5432"],
    ["local", "*:8080:db:5432", "*:8080", "db:5432"],
    ["local", ":8080:db:5432", "*:8080", "db:5432"],
    ["local", "[::1]:8080:[2001:db8::1]:80", "[::1]:8080", "[2001:db8::1]:80"],
    ["local", "8080:/run/app.sock", "localhost:8080", "/run/app.sock"],
    ["local", "127.0.0.1:8080:/run/app.sock", "127.0.0.1:8080", "/run/app.sock"],
    ["local", "/tmp/a.sock:db:5432", "/tmp/a.sock", "db:5432"],
    ["local", "/tmp/a.sock:/run/app.sock", "/tmp/a.sock", "/run/app.sock"],
    ["remote", "9000:localhost:3000", "localhost:9000", "localhost:3000"],
    ["remote", "/tmp/a.sock:localhost:3000", "/tmp/a.sock", "localhost:3000"],
    ["remote", "1080", "localhost:1080", "socks"],
    ["remote", "0.0.0.0:1080", "0.0.0.0:1080", "socks"],
    ["dynamic", "1080", "localhost:1080", "socks"],
    ["dynamic", "[::1]:0", "[::1]:0", "socks"],
  ];
  it.each(cases)("--%s %s", (kind, text, at, to) => {
    const tunnel = parseTunnel(kind, text);
    expect(endpointText(tunnel.at)).toBe(at);
    expect(tunnel.to === "socks" ? "socks" : endpointText(tunnel.to)).toBe(to);
    expect(tunnel.listens).toBe(kind === "remote" ? "there" : "here");
  });

  it.each([
    ["local", ""],
    ["local", "8080"],
    ["local", "db:5432"],
    ["local", "8080:db"],
    ["local", "8080:db:0"],
    ["local", "8080:db:70000"],
    ["local", "x:db:80"],
    ["local", "-1:db:80"],
    ["local", "8080::80"],
    ["local", "::1:8080:db:80"],
    ["local", "[::1:8080:db:80"],
    ["local", "/only/one"],
    ["local", "a:b:c:d:e"],
    ["dynamic", "a:b:1080"],
    ["dynamic", "http"],
    ["remote", "x"],
    ["remote", ""],
  ] as const)("--%s %s is refused", (kind, text) => {
    expect(() => parseTunnel(kind, text)).toThrow(expect.objectContaining({ code: "usage.input" }));
  });

  it("a service is a port of the target, or one that it reaches", () => {
    const said = ["80", "db:80", "[::1]:80", "/run/a.sock"].map((text) => endpointText(parseService(text)));
    expect(said).toEqual(["localhost:80", "db:80", "[::1]:80", "/run/a.sock"]);
    for (const bad of ["", "db", "0", "db:", ":80", "a:b:c", "[x"])
      expect(() => parseService(bad), bad).toThrow(expect.objectContaining({ code: "usage.input" }));
  });

  it("knows what only this machine reaches", () => {
    const hosts = ["localhost", "127.0.0.1", "127.1.2.3", "::1", "", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.org"];
    expect(hosts.filter((host) => isLoopback({ host, port: 1 }))).toEqual(hosts.slice(0, 4));
    expect(isLoopback({ path: "/tmp/x" })).toBe(true);
  });
});
