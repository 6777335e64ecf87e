/** Ask: what other commands want of the broker that runs: what it holds, to close it, to go. */
import { z } from "zod";
import { AmiError } from "../errors.ts";
import { dialSocket } from "../runtime-socket.ts";
import { version } from "../version.ts";
import { type Hello, ask, frame, frameReader, say } from "./frames.ts";
import { type BrokerPlace, findDoor } from "./place.ts";

/** Milliseconds a broker has to answer: it does nothing else meanwhile. */
export const patience = 2000;

export const loginsSchema = z.object({
  pid: z.number().int().optional(),
  persist: z.number().optional(),
  logins: z.array(
    z.object({
      host: z.string(),
      user: z.string(),
      at: z.string(),
      connections: z.number().int(),
      channels: z.number().int(),
      since: z.number(),
      lastUsed: z.number(),
    }),
  ),
});
export type Logins = z.output<typeof loginsSchema>;

/** Undefined: no broker runs. Rejects with `run.failed` for one of another version, with `run.timeout` for one that does not answer. */
export async function askBroker(
  place: BrokerPlace,
  wish: Pick<Hello, "wish" | "host">,
  own = version,
): Promise<Logins | undefined> {
  const door = findDoor(place);
  if (door === undefined) return undefined;
  const answer = Promise.withResolvers<{ letter: string; body: Buffer } | undefined>();
  const read = frameReader((letter, body) => answer.resolve({ letter, body }));
  const line = await dialSocket(door.socket, { data: read, closed: () => answer.resolve(undefined) }).catch(
    () => undefined, // one that was killed has left its socket
  );
  if (line === undefined) return undefined;
  const late = setTimeout(() => answer.reject(silent()), patience);
  try {
    const hello: Hello = { version: own, key: door.key, ...wish };
    line.write(frame(ask.hello, JSON.stringify(hello)));
    const heard = await answer.promise;
    if (heard === undefined) return undefined;
    const { letter, body } = heard;
    if (letter === say.yes) return loginsSchema.parse({ logins: [], ...JSON.parse(body.toString()) });
    throw new AmiError("run.failed", `the broker that runs does not answer ami-node ${own}: ${body.toString()}`, {
      hint: "the next ssh execute replaces it",
    });
  } finally {
    clearTimeout(late);
    line.end();
  }
}

function silent(): AmiError {
  return new AmiError("run.timeout", `the broker does not answer within ${patience / 1000} s`, {
    hint: "it may be stopped or busy; ssh execute works without it",
  });
}
