/**
 * Adopt: an ssh2 client on a socket that carries the channels of a connection which is logged in already: packets come
 * unencrypted, each after its length, without padding. ssh2 is told that all that comes before channels has happened.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Client } from "ssh2";
import { type Cipher, type Decipher, packets } from "../packets.ts";

/** Nothing may have been read from `socket` that belongs to the channels. Resolves when channels can be opened. */
export async function adopt(socket: Socket): Promise<Client> {
  const { Client: SshClient } = (await import("ssh2")).default;
  const client = new SshClient();
  client.on("error", () => undefined); // what it means is told by the socket, which closes
  client.connect({ sock: socket, username: "-", readyTimeout: 0, keepaliveInterval: 0, authHandler: () => undefined });
  const protocol = packets(client);
  await new Promise<void>((resolve) => {
    // Called by ssh2 just before it listens.
    protocol.start = () => {
      protocol._cipher = { ...plain(() => undefined) };
      // Which of OpenSSH's extensions ssh2 uses depends on the name: those that ssh had when it could do this.
      const hello = Buffer.from("SSH-2.0-OpenSSH_7.4\r\n");
      protocol.parse(hello, 0, hello.length);
      // It has now begun to exchange keys, with nobody.
      protocol._kexinit = undefined;
      protocol._packetRW.write.allocStart = frame;
      protocol._authenticated = true;
      protocol._cipher = plain((packet) => protocol._onWrite(packet));
      protocol._decipher = framed((payload) => protocol._onPayload(payload));
      resolve();
    };
  });
  return client;
}

/** Length, and how much padding there is: none. */
const frame = 5;

function plain(send: (packet: Buffer) => void): Cipher {
  // As those of ssh2: channels close after the connection, and their last packets go nowhere.
  let isFree = false;
  return {
    outSeqno: 0,
    allocPacket(length) {
      const packet = Buffer.allocUnsafe(frame + length);
      packet.writeUInt32BE(1 + length, 0);
      packet[4] = 0;
      return packet;
    },
    encrypt(packet) {
      if (!isFree) send(packet);
    },
    free() {
      isFree = true;
    },
  };
}

function framed(take: (payload: Buffer) => void): Decipher {
  let held: Buffer | undefined;
  let isFree = false;
  return {
    inSeqno: 0,
    decrypt(bytes, from, length) {
      const fresh = bytes.subarray(from, length);
      let rest = held === undefined ? fresh : Buffer.concat([held, fresh]);
      while (!isFree && rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
        const end = 4 + rest.readUInt32BE(0);
        take(rest.subarray(frame, end - rest.readUInt8(4)));
        rest = rest.subarray(end);
      }
      held = rest.length === 0 ? undefined : rest;
      return length;
    },
    free() {
      isFree = true;
    },
  };
}
