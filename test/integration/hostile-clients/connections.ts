import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { callStart, connectRaw, opening, PREFACE, type RawConnection } from '../../support/raw-http2.ts';
import type { Arena, Attack, Door } from './arena.ts';

const MANY = 2000;
/** Connected at once, so that no backlog overflows. */
const WIDTH = 50;
/** How long attackers stay, so that the one beside them makes enough calls to tell. */
const STAY_MS = 500;

/** Makes `count` of something, a few at a time. */
export async function many<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  while (made.length < count) {
    const batch = Array.from({ length: Math.min(WIDTH, count - made.length) }, (_, index) => made.length + index);
    made.push(...(await Promise.all(batch.map(make))));
  }
  return made;
}

/** TCP alone: the other end waits for a ClientHello. */
async function plainTcp({ site }: Arena): Promise<net.Socket> {
  const socket = net.connect(site.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

async function idle(arena: Arena, door: Door, count: number, first?: Buffer): Promise<void> {
  const connections = await many(count, () => connectRaw(arena.target(door)));
  if (first !== undefined) for (const connection of connections) connection.send(first);
  await sleep(STAY_MS);
  const lost = connections.filter(({ closed }) => closed).length;
  for (const connection of connections) connection.destroy();
  if (lost > 0) throw new Error(`${lost} of ${count} idle connections were closed`);
}

/** Bytes that come one by one, on many connections at once. */
async function byteByByte(connections: readonly RawConnection[], bytes: Buffer, steps: number): Promise<void> {
  for (let step = 0; step < Math.min(steps, bytes.length); step += 1) {
    for (const connection of connections) connection.send(bytes.subarray(step, step + 1));
    await sleep(20);
  }
  for (const connection of connections) connection.destroy();
}

/** A ClientHello as OpenSSL writes it. */
async function clientHello(): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const accepted = once(server, 'connection');
  const client = tls.connect({ host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 });
  client.on('error', () => undefined);
  const [socket] = (await accepted) as [net.Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

/** What a server says to `bytes`, until it ends the connection. */
async function untilCutOff(socket: net.Socket, bytes: Buffer | string): Promise<void> {
  const closed = once(socket, 'close');
  socket.resume();
  socket.write(bytes);
  await closed;
}

/** Connections that do nothing, or nothing to the end. */
export const connectionAttacks: readonly Attack[] = [
  {
    name: '2,000 idle connections that say nothing',
    doors: ['admin', 'workload', 'tcp'],
    run: (arena, door, scale) => idle(arena, door, MANY * Math.min(scale, 1)),
  },
  {
    name: '2,000 idle connections that speak HTTP/2',
    doors: ['admin', 'workload', 'tcp'],
    run: (arena, door) => idle(arena, door, MANY, opening()),
  },
  {
    name: '2,000 connections without a ClientHello',
    doors: ['tcp'],
    async run(arena) {
      const sockets = await many(MANY, () => plainTcp(arena));
      await sleep(STAY_MS);
      for (const socket of sockets) socket.destroy();
    },
  },
  {
    name: '500 handshakes left half-way',
    doors: ['tcp'],
    async run(arena, _door, scale) {
      const hello = await clientHello();
      const sockets = await many(500 * scale, () => plainTcp(arena));
      for (const [index, socket] of sockets.entries()) {
        // Some wait for more, some say good-bye, some are gone before they are answered.
        if (index % 3 === 0) socket.write(hello.subarray(0, 100));
        else if (index % 3 === 1) socket.end(hello);
        else socket.write(hello, () => socket.destroy());
      }
      await sleep(STAY_MS);
      for (const socket of sockets) socket.destroy();
    },
  },
  {
    name: '500 connections of garbage in place of TLS',
    doors: ['tcp'],
    async run(arena, _door, scale) {
      const texts = [
        'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
        Buffer.alloc(2000, 0xff),
        PREFACE,
        Buffer.of(22, 3, 1, 255, 255, 9),
      ];
      // The last is a record that never comes to its end: cut off only by the handshake's time.
      await many(500 * scale, async (index) => {
        const socket = await plainTcp(arena);
        const text = texts[index % texts.length] ?? '';
        if (index % texts.length === 3) socket.write(text, () => socket.destroy());
        else await untilCutOff(socket, text);
      });
    },
  },
  {
    name: '200 connections with the wrong protocol',
    doors: ['tcp'],
    async run(arena, _door, scale) {
      const wrong: tls.ConnectionOptions[] = [
        { ALPNProtocols: ['http/1.1'] },
        { ALPNProtocols: [] },
        { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' },
      ];
      await many(200 * scale, async (index) => {
        const connection = await connectRaw(arena.target('tcp'), wrong[index % wrong.length]).catch(() => undefined);
        await connection?.whenClosed;
      });
    },
  },
  {
    name: '100 connections that send byte by byte',
    doors: ['admin', 'workload', 'tcp'],
    async run(arena, door, scale) {
      const bytes = Buffer.concat([opening(), callStart(1, arena.method(door)), Buffer.alloc(1000)]);
      await byteByByte(await many(100, () => connectRaw(arena.target(door))), bytes, 50 * scale);
    },
  },
];
