import { setTimeout as sleep } from 'node:timers/promises';
import { agentService } from '../../../common/rpc/services.ts';
import { eventually } from '../../support/daemons.ts';
import {
  call,
  callStart,
  connectRaw,
  FRAME,
  frame,
  opening,
  settingsPayload,
  uint32,
} from '../../support/raw-http2.ts';
import { ending, messageHead, openSession, startCall } from '../../support/raw-http2-session.ts';
import type { Arena, Attack, Door } from './arena.ts';

const ATTEST = '/spire.api.server.agent.v1.Agent/AttestAgent';
const SYNC = '/spire.api.server.entry.v1.Entry/SyncAuthorizedEntries';
const MIB = 1024 * 1024;
const STAY_MS = 500;

const badToken = (): Buffer =>
  agentService().methods['AttestAgent']?.requestSerialize({
    params: { data: { type: 'join_token', payload: Buffer.from('no-such-token') }, params: { csr: Buffer.of(1) } },
  }) ?? Buffer.alloc(0);

/** Attests with a token that nobody gave out, and resolves to how that ended. */
function attest(session: ReturnType<typeof openSession>): Promise<string> {
  const stream = startCall(session, ATTEST);
  const message = badToken();
  stream.end(Buffer.concat([messageHead(message.length), message]));
  return ending(stream);
}

/** Sends frames of one kind without reading what they are answered with. */
async function floodUnread(arena: Arena, door: Door, one: Buffer, count: number): Promise<void> {
  const connections = await Promise.all(Array.from({ length: 4 }, () => connectRaw(arena.target(door))));
  const chunk = Buffer.concat(Array.from({ length: 1000 }, () => one));
  for (const connection of connections) {
    connection.socket.pause();
    connection.send(opening());
    for (let sent = 0; sent < count; sent += 1000) connection.send(chunk);
  }
  await sleep(STAY_MS);
  for (const connection of connections) connection.destroy();
}

/** Calls whose answers nobody lets in: a window of no bytes. */
async function unreadAnswers(arena: Arena, door: Door, connectionCount: number): Promise<void> {
  const connections = await Promise.all(Array.from({ length: connectionCount }, () => connectRaw(arena.target(door))));
  for (const connection of connections) {
    connection.send(opening([4, 0]));
    for (let id = 1; id < 1000; id += 2) connection.send(call(id, arena.method(door)));
  }
  await sleep(STAY_MS);
  for (const connection of connections) connection.destroy();
}

/** Calls for which all but the last byte of a message of 4 MiB is sent. */
async function unfinished(arena: Arena, door: Door, connections: number): Promise<void> {
  const sessions = Array.from({ length: connections }, () => openSession(arena.target(door)));
  const endings = sessions.flatMap((session) =>
    Array.from({ length: 30 }, () => {
      const stream = startCall(session, arena.method(door));
      stream.write(messageHead(4 * MIB));
      stream.write(Buffer.alloc(4 * MIB - 1));
      return ending(stream);
    }),
  );
  let refused = 0;
  for (const end of endings) void end.then((how) => (refused += how === 'grpc 8' ? 1 : 0));
  await eventually('refusals', () => {
    if (refused < endings.length / 2) throw new Error(`${refused} of ${endings.length} were refused`);
  });
  for (const session of sessions) session.destroy();
}

/** Calls begun and reset at once (CVE-2023-44487). */
async function rapidReset(arena: Arena, door: Door, connectionCount: number): Promise<void> {
  const connections = await Promise.all(Array.from({ length: connectionCount }, () => connectRaw(arena.target(door))));
  for (const connection of connections) {
    connection.send(opening());
    for (let id = 1; id < 10_000; id += 2) {
      connection.send(callStart(id, arena.method(door)), frame(FRAME.rstStream, 0, id, uint32(8)));
    }
  }
  await eventually('an end of each connection', () => {
    const standing = connections.filter(({ goaway, closed }) => goaway === undefined && !closed);
    if (standing.length > 0) throw new Error(`${standing.length} of ${connectionCount} stand`);
  });
  for (const connection of connections) connection.destroy();
}

async function streams(arena: Arena, count: number): Promise<void> {
  const sessions = Array.from({ length: count }, () => openSession(arena.target('workload')));
  const answered: Promise<unknown>[] = [];
  for (const session of sessions) {
    for (let index = 0; index < 1000; index += 1) {
      const stream = startCall(session, arena.method('workload'));
      stream.end(messageHead(0));
      answered.push(new Promise((resolve) => stream.once('data', resolve).once('close', resolve)));
    }
  }
  await Promise.all(answered);
  for (const session of sessions) session.destroy();
}

/** Much of what is right in small numbers. */
export const floodAttacks: readonly Attack[] = [
  {
    name: 'PING flood, answers unread',
    doors: ['tcp', 'workload'],
    run: (arena, door, scale) => floodUnread(arena, door, frame(FRAME.ping, 0, 0, Buffer.alloc(8)), 50_000 * scale),
  },
  {
    name: 'SETTINGS flood, answers unread',
    doors: ['tcp', 'workload'],
    run: (arena, door, scale) =>
      floodUnread(arena, door, frame(FRAME.settings, 0, 0, settingsPayload([[4, 1]])), 50_000 * scale),
  },
  {
    name: 'rapid reset on 5 connections',
    doors: ['tcp', 'admin', 'workload'],
    // As with malformed frames: Node 20 forgets them until the next keepalive.
    limits: { descriptors: 18, isFlood: true },
    run: (arena, door, scale) => rapidReset(arena, door, 5 * scale),
  },
  {
    name: '2,500 answers that nobody reads',
    doors: ['tcp', 'admin', 'workload'],
    limits: { rssMib: 256, isFlood: true },
    run: (arena, door, scale) => unreadAnswers(arena, door, 5 * scale),
  },
  {
    name: '120 messages of 4 MiB without their end',
    doors: ['tcp', 'workload'],
    limits: { rssMib: 256, isFlood: true },
    run: (arena, door, scale) => unfinished(arena, door, 4 * scale),
  },
  {
    name: '5,000 Workload API streams of one process',
    doors: ['workload'],
    limits: { rssMib: 384, isFlood: true },
    run: (arena, _door, scale) => streams(arena, 5 * scale),
  },
  {
    name: '2,000 calls that are logged as errors',
    doors: ['workload'],
    limits: { isFlood: true },
    async run(arena, door, scale) {
      for (let round = 0; round < 20 * scale; round += 1) {
        const session = openSession(arena.target(door));
        const calls = Array.from({ length: 100 }, () => {
          const stream = startCall(session, '/SpiffeWorkloadAPI/FetchJWTSVID');
          stream.end(messageHead(0));
          return ending(stream);
        });
        const other = (await Promise.all(calls)).find((how) => how !== 'grpc 3');
        if (other !== undefined) throw new Error(`a call without an audience ended with ${other}`);
        session.destroy();
      }
    },
  },
  {
    name: '1,000 streams of requests left open',
    doors: ['tcp'],
    limits: { isFlood: true },
    async run(arena, door) {
      const sessions = Array.from({ length: 5 }, () => openSession(arena.target(door)));
      const stay = sessions.flatMap((session) =>
        Array.from({ length: 200 }, (_, index) => startCall(session, index % 2 === 0 ? ATTEST : SYNC)),
      );
      await sleep(STAY_MS);
      for (const stream of stay) stream.close();
      for (const session of sessions) session.destroy();
    },
  },
  {
    name: '500 attestations with bad tokens',
    doors: ['tcp'],
    limits: { isFlood: true },
    async run(arena, door) {
      const sessions = Array.from({ length: 5 }, () => openSession(arena.target(door)));
      let refused = 0;
      for (const session of sessions) {
        for (let index = 0; index < 100; index += 1)
          void attest(session).then((how) => (refused += how === 'grpc 8' ? 1 : 0));
      }
      // One a second is let through; who would have to wait for more than five minutes is told so.
      await eventually('refusals', () => {
        if (refused < 150) throw new Error(`${refused} were refused`);
      });
      // Another address has a limit of its own.
      const elsewhere = openSession(arena.target(door), {}, '127.0.0.2');
      const how = await attest(elsewhere);
      if (how !== 'grpc 3') throw new Error(`an attestation from another address ended with ${how}`);
      for (const session of [...sessions, elsewhere]) session.destroy();
    },
  },
];
