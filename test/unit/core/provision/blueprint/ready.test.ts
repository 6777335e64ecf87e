/** The blueprints that come with the project, for the machines they are meant for. */
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import type { OsFacts } from "../../../../../src/core/facts.ts";
import { expandNode } from "../../../../../src/core/provision/blueprint/expand.ts";
import { readBlueprint } from "../../../../../src/core/provision/blueprint/read.ts";
import { loadResources } from "../../../../../src/core/resources/load.ts";
import { os } from "./scope.ts";

const ada: OsFacts = { ...os, user: "ada", uid: 1000, home: "/home/ada" };
const machines: Record<string, OsFacts> = {
  "a user on Debian": ada,
  "root on Debian": os,
  "a user on Ubuntu": { ...ada, distro: "ubuntu", version: "24.04", like: ["debian"] },
  "a user on Alpine": { ...ada, distro: "alpine", like: [] },
  "a user on macOS": { ...ada, os: "macos", distro: "macos", like: [], home: "/Users/ada" },
};

/** Titles of what is wished, and the text of every file. */
async function outcome(
  name: string,
  facts: OsFacts,
  vars: Record<string, unknown> = {},
): Promise<{ titles: string[]; bodies: Map<string, string> }> {
  const file = resolve(import.meta.dirname, "../../../../../blueprints", `${name}.yaml`);
  const { blueprint, vars: given } = await readBlueprint(file, {
    types: await loadResources(),
    vars,
    varsFiles: [],
    hosts: [{ name: "web1", vars: {} }],
  });
  const scope = { vars: { ...blueprint.vars, ...given }, hostName: "web1", os: facts, registered: new Map() };
  const wishes = blueprint.resources.flatMap((node) => {
    const expansion = expandNode(node, blueprint, scope);
    expect(["ready", "skipped"]).toContain(expansion.state);
    return expansion.state === "ready" ? expansion.wishes : [];
  });
  const bodies = wishes.flatMap(({ title, wish }) => {
    const body = Object.values(wish.loaded ?? {})[0]?.toString() ?? wish["content"];
    return typeof body === "string" ? [[title, body] as const] : [];
  });
  return { titles: wishes.map((wish) => wish.title), bodies: new Map(bodies) };
}

describe.each(Object.entries(machines))("for %s", (_, facts) => {
  it("hello stays in a folder of its own", async () => {
    const { titles, bodies } = await outcome("hello", facts);
    expect(titles).toHaveLength(10);
    for (const title of titles)
      expect(title).toMatch(
        title.startsWith("command") ? /first-run\.txt$/ : new RegExp(`${facts.home}/ami-node-hello`),
      );
    expect(bodies.get(`file ${facts.home}/ami-node-hello/greetings/fr.txt`)).toBe(`Bonjour, ${facts.user}!\n`);
    expect(bodies.get(`template ${facts.home}/ami-node-hello/README.txt`)).toContain(
      `You are ${facts.user} here${facts.uid === 0 ? ", and may do anything." : "."}\n`,
    );
  });

  it("dev installs tools where there is apt, and settings everywhere", async () => {
    const { titles, bodies } = await outcome("dev", facts);
    expect(titles.some((title) => title.startsWith("package "))).toBe(
      facts.distro === "debian" || facts.distro === "ubuntu",
    );
    expect(titles.filter((title) => title.startsWith("line "))).toHaveLength(facts.os === "macos" ? 2 : 1);
    expect(bodies.get(`template ${facts.home}/.config/dev/shell.sh`)).toContain("alias ll='ls -lh'\nalias gs=");
  });
});

describe("dev", () => {
  it("writes names into the git configuration only when they are given", async () => {
    const file = "file /home/ada/.config/dev/gitconfig";
    expect((await outcome("dev", ada)).bodies.get(file)).not.toContain("[user]");
    const given = await outcome("dev", ada, { git: { name: 'Ada "L"', email: "", branch: "trunk" } });
    expect(given.bodies.get(file)).toContain('[user]\n\tname = "Ada \\"L\\""\n[init]\n\tdefaultBranch = trunk\n');
    expect(given.bodies.get(file)).not.toContain("email");
  });
});

describe("web", () => {
  it("makes a page, a server and a link for each site", async () => {
    const { titles, bodies } = await outcome("web", os, {
      sites: [
        { name: "one.example" },
        { name: "two.example", title: "Two & <more>", aliases: ["a", "b"] },
        { name: "own.example", page: false },
      ],
      port: 8080,
    });
    expect(titles).toEqual([
      "package nginx",
      "group deploy",
      "user deploy",
      ...["one", "two", "own"].map((site) => `directory /var/www/${site}.example`),
      ...["one", "two"].map((site) => `file /var/www/${site}.example/index.html`),
      ...["one", "two", "own"].map((site) => `file /etc/nginx/sites-available/${site}.example.conf`),
      ...["one", "two", "own"].map((site) => `link /etc/nginx/sites-enabled/${site}.example.conf`),
      "link /etc/nginx/sites-enabled/default",
      "service nginx",
    ]);
    expect(bodies.get("file /etc/nginx/sites-available/two.example.conf")).toContain(
      "listen 8080;\n    listen [::]:8080;\n    server_name two.example a b;\n",
    );
    expect(bodies.get("file /var/www/two.example/index.html")).toContain("<title>Two &amp; &lt;more&gt;</title>");
  });
});
