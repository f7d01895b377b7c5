import { eventually } from '../../support/daemons.ts';
import {
  call,
  connectRaw,
  type RawConnection,
  callHeaders,
  callStart,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  headerBlock,
  integer,
  messageFrame,
  opening,
  PREFACE,
  settingsPayload,
  uint32,
} from '../../support/raw-http2.ts';

import type { Arena, Attack, Door } from './arena.ts';

/** Bytes that break HTTP/2, and what a server may do about them. */
export interface BrokenFrames {
  readonly name: string;
  readonly bytes: (path: string) => Buffer;
  /** `refused`: it ends the connection or the stream. `borne`: nothing need happen. */
  readonly end: 'refused' | 'borne';
}

const empty = Buffer.alloc(0);
const zeros = (count: number): Buffer => Buffer.alloc(count);
const after = (bytes: (path: string) => Buffer) => (path: string) => Buffer.concat([opening(), bytes(path)]);
const refused = (name: string, bytes: (path: string) => Buffer): BrokenFrames => ({ name, bytes, end: 'refused' });
const borne = (name: string, bytes: (path: string) => Buffer): BrokenFrames => ({ name, bytes, end: 'borne' });
const repeat = (count: number, one: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => one(index)));

/** The header of a frame that says it is longer than it is allowed to be. */
function tooLong(type: number, stream: number): Buffer {
  const head = frame(type, 0, stream);
  head.writeUIntBE(0xff_ffff, 0, 3);
  return Buffer.concat([head, zeros(20_000)]);
}

/** A block whose headers are references to one large entry of the dynamic table (RFC 7541 6.1). */
function hpackBomb(path: string): Buffer {
  const large = Buffer.concat([
    Buffer.of(0x40),
    Buffer.of(1),
    Buffer.from('x'),
    integer(3000, 7),
    Buffer.alloc(3000, 97),
  ]);
  const block = Buffer.concat([headerBlock(callHeaders(path)), large, Buffer.alloc(10_000, 0x80 | 62)]);
  return frame(FRAME.headers, END_HEADERS | END_STREAM, 1, block);
}

const withHeaders = (more: readonly (readonly [string, string])[]) => (path: string) => callStart(1, path, more);

/** RFC 9113: each type with wrong lengths and stream numbers, and floods of what is cheap to send. */
export const brokenFrames: readonly BrokenFrames[] = [
  refused('no preface but zeros', () => zeros(2000)),
  refused('HTTP/1.1', () => Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')),
  refused('preface and no SETTINGS', () => Buffer.concat([PREFACE, frame(FRAME.ping, 0, 0, zeros(8))])),
  ...Object.entries(FRAME).map(([name, type]) =>
    refused(
      `${name} of 16 MiB`,
      after(() => tooLong(type, type === 4 ? 0 : 1)),
    ),
  ),
  refused(
    'DATA on stream 0',
    after(() => frame(FRAME.data, 0, 0, zeros(10))),
  ),
  refused(
    'DATA on an idle stream',
    after(() => frame(FRAME.data, 0, 7, zeros(10))),
  ),
  refused(
    'HEADERS on stream 0',
    after((path) => frame(FRAME.headers, END_HEADERS, 0, headerBlock(callHeaders(path)))),
  ),
  refused(
    'HEADERS on an even stream',
    after((path) => callStart(2, path)),
  ),
  // The HTTP/2 library takes it for a stream that was closed, and drops the frame.
  borne(
    'HEADERS with a stream number below the last',
    after((path) => Buffer.concat([call(9, path), call(3, path)])),
  ),
  refused(
    'HEADERS whose padding is all there is',
    after(() => frame(FRAME.headers, END_HEADERS | 8, 1, Buffer.of(200, 0))),
  ),
  refused(
    'HEADERS twice on one stream',
    after((path) => Buffer.concat([callStart(1, path), callStart(1, path)])),
  ),
  refused(
    'HEADERS of garbage',
    after(() => frame(FRAME.headers, END_HEADERS, 1, Buffer.alloc(500, 0xff))),
  ),
  refused(
    'HEADERS with an index past the table',
    after(() => frame(FRAME.headers, END_HEADERS, 1, Buffer.of(0xff, 0xff, 0x7f))),
  ),
  refused(
    'HEADERS without pseudo-headers',
    after(() => frame(FRAME.headers, END_HEADERS, 1, headerBlock([['te', 'trailers']]))),
  ),
  refused(
    'HEADERS with upper case',
    after((path) => withHeaders([['Upper', 'x']])(path)),
  ),
  // The HTTP/2 library drops the header; the call goes on without it.
  borne(
    'HEADERS with a line break',
    after((path) => withHeaders([['x', 'a\r\nb']])(path)),
  ),
  refused(
    'connection-specific headers',
    after((path) => withHeaders([['connection', 'close']])(path)),
  ),
  refused(
    'another frame amid CONTINUATION',
    after((path) =>
      Buffer.concat([frame(FRAME.headers, 0, 1, headerBlock(callHeaders(path))), frame(FRAME.ping, 0, 0, zeros(8))]),
    ),
  ),
  refused(
    'CONTINUATION without HEADERS',
    after(() => frame(FRAME.continuation, END_HEADERS, 1, zeros(3))),
  ),
  refused(
    'CONTINUATION flood',
    after((path) =>
      Buffer.concat([
        frame(FRAME.headers, 0, 1, headerBlock(callHeaders(path))),
        repeat(20_000, () => frame(FRAME.continuation, 0, 1, headerBlock([['x', 'y']]))),
      ]),
    ),
  ),
  refused(
    'empty CONTINUATION flood',
    after((path) =>
      Buffer.concat([
        frame(FRAME.headers, 0, 1, headerBlock(callHeaders(path))),
        repeat(50_000, () => frame(FRAME.continuation, 0, 1)),
      ]),
    ),
  ),
  refused('HPACK bomb', after(hpackBomb)),
  refused(
    'headers of 1 MiB',
    after((path) =>
      Buffer.concat([
        frame(FRAME.headers, 0, 1, headerBlock(callHeaders(path))),
        repeat(70, () => frame(FRAME.continuation, 0, 1, headerBlock([['x', 'y'.repeat(15_000)]]))),
      ]),
    ),
  ),
  refused(
    '2,000 metadata',
    after((path) =>
      frame(
        FRAME.headers,
        END_HEADERS,
        1,
        headerBlock([
          ...callHeaders(path),
          ...Array.from({ length: 2000 }, (_, i) => [`k${i}`, 'v'] as const),
        ]).subarray(0, 16_384),
      ),
    ),
  ),
  refused(
    'PRIORITY of the wrong length',
    after(() => frame(FRAME.priority, 0, 1, zeros(4))),
  ),
  // The nghttp2 of Node.js 24 passes over PRIORITY altogether.
  borne(
    'PRIORITY on stream 0',
    after(() => frame(FRAME.priority, 0, 0, zeros(5))),
  ),
  borne(
    'PRIORITY flood',
    after(() => repeat(20_000, (i) => frame(FRAME.priority, 0, 2 * i + 1, zeros(5)))),
  ),
  refused(
    'RST_STREAM of an idle stream',
    after(() => frame(FRAME.rstStream, 0, 9, uint32(8))),
  ),
  refused(
    'RST_STREAM of the wrong length',
    after((path) => Buffer.concat([callStart(1, path), frame(FRAME.rstStream, 0, 1, zeros(3))])),
  ),
  refused(
    'SETTINGS on a stream',
    after(() => frame(FRAME.settings, 0, 1, settingsPayload([[1, 0]]))),
  ),
  refused(
    'SETTINGS of the wrong length',
    after(() => frame(FRAME.settings, 0, 0, zeros(7))),
  ),
  refused(
    'SETTINGS acknowledgement with a payload',
    after(() => frame(FRAME.settings, 1, 0, zeros(6))),
  ),
  refused(
    'SETTINGS with a window beyond 2^31',
    after(() => frame(FRAME.settings, 0, 0, settingsPayload([[4, 0xffff_ffff]]))),
  ),
  refused(
    'SETTINGS with a frame size of 1',
    after(() => frame(FRAME.settings, 0, 0, settingsPayload([[5, 1]]))),
  ),
  refused(
    'SETTINGS with 1,000 values',
    after(() => frame(FRAME.settings, 0, 0, settingsPayload(Array.from({ length: 1000 }, () => [1, 4096])))),
  ),
  refused(
    'PUSH_PROMISE from a client',
    after(() => frame(FRAME.pushPromise, END_HEADERS, 1, zeros(4))),
  ),
  refused(
    'PING of the wrong length',
    after(() => frame(FRAME.ping, 0, 0, zeros(7))),
  ),
  refused(
    'PING on a stream',
    after(() => frame(FRAME.ping, 0, 1, zeros(8))),
  ),
  refused(
    'GOAWAY of the wrong length',
    after(() => frame(FRAME.goaway, 0, 0, zeros(3))),
  ),
  refused(
    'WINDOW_UPDATE of zero',
    after(() => frame(FRAME.windowUpdate, 0, 0, uint32(0))),
  ),
  refused(
    'WINDOW_UPDATE beyond 2^31',
    after(() =>
      Buffer.concat([
        frame(FRAME.windowUpdate, 0, 0, uint32(0x7fff_ffff)),
        frame(FRAME.windowUpdate, 0, 0, uint32(0x7fff_ffff)),
      ]),
    ),
  ),
  refused(
    'WINDOW_UPDATE on an idle stream',
    after(() => frame(FRAME.windowUpdate, 0, 5, uint32(1))),
  ),
  refused(
    'DATA beyond the window',
    after((path) => Buffer.concat([callStart(1, path), repeat(40, () => frame(FRAME.data, 0, 1, zeros(16_384)))])),
  ),
  borne(
    'frames of unknown types',
    after(() => repeat(5000, (i) => frame(200, i % 256, i, zeros(10)))),
  ),
  refused(
    'empty DATA flood',
    after((path) => Buffer.concat([callStart(1, path), repeat(50_000, () => frame(FRAME.data, 0, 1, empty))])),
  ),
  refused(
    'trailers that are no end',
    after((path) =>
      Buffer.concat([
        callStart(1, path),
        messageFrame(1, empty, 0),
        frame(FRAME.headers, END_HEADERS, 1, headerBlock([['x', 'y']])),
      ]),
    ),
  ),
];

const TIMES = 5;

/** Whether the server ended the connection, or the stream with a reset or an answer that ends it. */
function isRefused({ closed, goaway, frames }: RawConnection): boolean {
  const ends = frames.some(({ type, flags }) => {
    return type === FRAME.rstStream || (type === FRAME.headers && (flags & END_STREAM) !== 0);
  });
  return closed || goaway !== undefined || ends;
}

async function send(arena: Arena, door: Door, broken: BrokenFrames) {
  const connection = await connectRaw(arena.target(door));
  connection.send(broken.bytes(arena.method(door)));
  return { broken, connection };
}

/** All of them on connections of their own; each is to end its connection or its stream. */
export const malformedFrames: Attack = {
  name: `malformed frames, ${brokenFrames.length} kinds`,
  doors: ['tcp', 'admin', 'workload'],
  // Node 20 forgets TLS connections that broke HTTP/2; they go with the next keepalive (common/rpc/server.ts).
  limits: { descriptors: TIMES * brokenFrames.length },
  async run(arena, door, scale) {
    for (let time = 0; time < TIMES * scale; time += 1) {
      const sent = await Promise.all(brokenFrames.map((broken) => send(arena, door, broken)));
      await eventually('the end of each', () => {
        const standing = sent.filter(({ broken, connection }) => broken.end === 'refused' && !isRefused(connection));
        if (standing.length > 0) throw new Error(standing.map(({ broken }) => broken.name).join(', '));
      });
      for (const { connection } of sent) connection.destroy();
    }
  },
};
