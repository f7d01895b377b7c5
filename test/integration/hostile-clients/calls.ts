import type { OutgoingHttpHeaders } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { eventually } from '../../support/daemons.ts';
import { ending, messageHead, openSession, startCall } from '../../support/raw-http2-session.ts';
import type { Arena, Attack, Door } from './arena.ts';

/** A call that is wrong. */
interface WrongCall {
  readonly name: string;
  /** In place of a method that exists. */
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body: readonly Buffer[];
  /** Whether the request is left open. */
  readonly open?: boolean;
  /** How it must end. */
  readonly how: RegExp;
}

const none = messageHead(0);
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
const endless = gzipSync(Buffer.alloc(1000)).subarray(0, 15);
/** A group within a group, as deep as a message may be long (protobuf's wire type 3). */
const groups = Buffer.alloc(1024 * 1024, 0x0b);
const metadata = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`k${index}`, 'v'.repeat(500)]));

const wrongCalls: readonly WrongCall[] = [
  { name: 'a message of 4 GiB', body: [messageHead(0xffff_ffff)], how: /^grpc 8$/ },
  { name: 'a message of 4 GiB, left open', body: [messageHead(0xffff_ffff)], open: true, how: /^grpc 8$/ },
  { name: 'a message of 5 MiB', body: [messageHead(5 * 1024 * 1024), Buffer.alloc(1000)], how: /^grpc 8$/ },
  {
    name: 'gzip that grows to 64 MiB',
    headers: { 'grpc-encoding': 'gzip' },
    body: [messageHead(bomb.length, 1), bomb],
    how: /^grpc 8$/,
  },
  {
    name: 'gzip cut short',
    headers: { 'grpc-encoding': 'gzip' },
    body: [messageHead(endless.length, 1), endless],
    how: /^grpc 13$/,
  },
  {
    name: 'an encoding nobody knows',
    headers: { 'grpc-encoding': 'zstd' },
    body: [messageHead(3, 1), Buffer.from('abc')],
    how: /^grpc 12$/,
  },
  { name: 'a message cut short', body: [messageHead(100), Buffer.from('abc')], how: /^grpc 12$/ },
  { name: 'no message', body: [], how: /^grpc 12$/ },
  { name: 'two messages', body: [none, none], how: /^grpc 12$/ },
  { name: 'garbage for a message', body: [messageHead(3), Buffer.of(255, 255, 255)], how: /^grpc 13$/ },
  { name: 'groups without end', body: [messageHead(groups.length), groups], how: /^grpc 13$/ },
  {
    name: 'a service nobody has',
    path: '/spire.api.server.entry.v2.Entry/ListEntries',
    body: [none],
    how: /^grpc 12$/,
  },
  {
    name: 'a method nobody has, left open',
    path: '/SpiffeWorkloadAPI/Nope',
    body: [none],
    open: true,
    how: /^grpc 12$/,
  },
  { name: 'no path', path: '*', body: [none], how: /^(grpc 12|reset \d+)$/ },
  { name: 'a long path', path: `/${'x'.repeat(8000)}`, body: [none], how: /^grpc 12$/ },
  { name: 'another content type', headers: { 'content-type': 'application/json' }, body: [none], how: /^http 415$/ },
  { name: 'no time', headers: { 'grpc-timeout': '1n' }, body: [none], open: true, how: /^grpc 4$/ },
  { name: 'a millisecond', headers: { 'grpc-timeout': '1m' }, body: [], open: true, how: /^grpc 4$/ },
  { name: 'a time that is none', headers: { 'grpc-timeout': 'soon' }, body: [none], how: /^grpc 13$/ },
  { name: '45 kB of metadata to nowhere', path: '/nobody/None', headers: metadata, body: [none], how: /^grpc 12$/ },
];

const withoutHeader: WrongCall = {
  name: 'no security header',
  headers: { 'workload.spiffe.io': 'false' },
  body: [none],
  how: /^grpc 3$/,
};

async function makeAll(arena: Arena, door: Door, times: number): Promise<void> {
  const session = openSession(arena.target(door));
  const calls = [...wrongCalls, ...(door === 'workload' ? [withoutHeader] : [])];
  for (let time = 0; time < times; time += 1) {
    await Promise.all(
      calls.map(async ({ name, path, headers, body, open, how }) => {
        const stream = startCall(session, path ?? arena.method(door), headers);
        const ended = ending(stream);
        for (const part of body) stream.write(part);
        if (open !== true) stream.end();
        const told = await ended;
        if (!how.test(told)) throw new Error(`${name} ended with ${told}`);
        await eventually(`${name}: a closed stream`, () => {
          if (!stream.closed) throw new Error('it is still open');
        });
      }),
    );
  }
  session.destroy();
}

/** Where a caller changes its mind. */
const STAGES = ['after its headers', 'after its request', 'after the first byte of the answer'] as const;

async function cancelAll(arena: Arena, door: Door, count: number): Promise<void> {
  const session = openSession(arena.target(door));
  for (let index = 0; index < count; index += 1) {
    const stage = STAGES[index % STAGES.length];
    const stream = startCall(session, arena.method(door));
    if (stage !== 'after its headers') stream.end(none);
    if (stage === 'after the first byte of the answer') {
      await new Promise<void>((resolve) => stream.once('data', () => resolve()).once('close', () => resolve()));
    }
    stream.close(8);
  }
  session.destroy();
}

/** Calls that are wrong in themselves. */
export const callAttacks: readonly Attack[] = [
  {
    name: `wrong calls, ${wrongCalls.length} kinds`,
    doors: ['tcp', 'admin', 'workload'],
    async run(arena, door, scale) {
      await Promise.all([1, 2, 3, 4].map(() => makeAll(arena, door, 4 * scale)));
    },
  },
  {
    name: '3,000 calls cancelled at three stages',
    doors: ['tcp', 'admin', 'workload'],
    limits: { isFlood: true },
    // Below the number of resets at which a connection is cut off.
    run: (arena, door, scale) =>
      Promise.all(Array.from({ length: 10 * scale }, () => cancelAll(arena, door, 300))).then(() => undefined),
  },
];
