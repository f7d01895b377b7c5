import net from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rpcPair } from '../../test/support/rpc-pair.ts';
import { authorityReader } from './readable-authority.ts';
import { implement, unary } from './service.ts';
import { workloadService } from './services.ts';
import { toStruct } from './struct.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

function headers(block: Buffer, flags = 4): Buffer {
  const frame = Buffer.alloc(9 + block.length);
  frame.writeUIntBE(block.length, 0, 3);
  frame.writeUInt8(1, 3);
  frame.writeUInt8(flags, 4);
  frame.writeUInt32BE(1, 5);
  block.copy(frame, 9);
  return frame;
}

/** A literal header with its name from the static table, as Java's library writes `:authority` (RFC 7541 6.2). */
const literal = (first: number, value: string): Buffer =>
  Buffer.concat([Buffer.of(first, value.length), Buffer.from(value)]);

const read = (...frames: Buffer[]): Buffer =>
  Buffer.concat(authorityReader()(Buffer.concat([PREFACE, SETTINGS, ...frames])));
const expected = (...frames: Buffer[]): Buffer => Buffer.concat([PREFACE, SETTINGS, ...frames]);

describe('authorityReader', () => {
  it.each([
    ['to be remembered', 0x41],
    ['not to be remembered', 0x01],
    ['never to be remembered', 0x11],
  ])('makes a path readable as an authority in a header %s', (_how, first) => {
    const before = Buffer.of(0x83, 0x86, 0x44);
    const path = Buffer.concat([Buffer.of(4), Buffer.from('/a/b')]);
    const after = Buffer.concat([Buffer.of(0x40, 1), Buffer.from('x'), Buffer.of(3), Buffer.from('a/b')]);
    const block = (authority: string): Buffer => Buffer.concat([before, path, literal(first, authority), after]);
    expect(read(headers(block('/run/api.sock')))).toEqual(expected(headers(block('.run.api.sock'))));
  });

  it('leaves alone what is an authority already', () => {
    const frame = headers(literal(0x41, '[::1]:8080'));
    expect(read(frame)).toEqual(expected(frame));
  });

  it('finds headers behind padding and priority', () => {
    const block = (authority: string): Buffer =>
      Buffer.concat([Buffer.of(2, 0, 0, 0, 0, 7), literal(0x41, authority), Buffer.from('//')]);
    expect(read(headers(block('/a'), 0x2c))).toEqual(expected(headers(block('.a'), 0x2c)));
  });

  it('gives the same however the bytes arrive', () => {
    const sent = expected(headers(literal(0x41, '/run/api.sock')), SETTINGS, headers(literal(0x41, '/a')));
    const whole = Buffer.concat(authorityReader()(sent));
    const reader = authorityReader();
    const single = Buffer.concat(Array.from(sent, (byte) => reader(Buffer.of(byte))).flat());
    expect(single).toEqual(whole);
    expect(whole).toHaveLength(sent.length);
  });

  it('adds and takes away nothing, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (blocks) => {
        const frames = blocks.map((block, index) => headers(Buffer.from(block), index % 2 === 0 ? 4 : 0x2c));
        const sent = expected(...frames);
        const given = Buffer.concat(authorityReader()(sent));
        expect(given).toHaveLength(sent.length);
        for (const [index, byte] of given.entries()) if (byte !== sent[index]) expect(byte).toBe(0x2e);
      }),
    );
  });
});

describe('a server on a Unix socket', () => {
  it('answers a client that calls it by the path of its socket, also when the name comes from the table', async () => {
    const pair = await rpcPair([
      implement(workloadService(), {
        ValidateJWTSVID: unary(async () => ({ spiffe_id: 'spiffe://a.test/x', claims: toStruct({}) })),
      }),
    ]);
    // Written by hand: the HTTP/2 library here would put the name in Huffman's code, which Java's does not.
    const socket = net.connect(pair.socketPath);
    try {
      const authority = literal(0x41, pair.socketPath);
      const path = '/SpiffeWorkloadAPI/ValidateJWTSVID';
      const type = Buffer.concat([Buffer.of(0x5f, 16), Buffer.from('application/grpc')]);
      const te = Buffer.concat([Buffer.of(0x40, 2), Buffer.from('te'), Buffer.of(8), Buffer.from('trailers')]);
      const call = (stream: number, name: Buffer): Buffer => {
        const block = Buffer.concat([Buffer.of(0x83, 0x86), name, literal(0x04, path), type, te]);
        const opened = headers(block);
        opened.writeUInt32BE(stream, 5);
        return Buffer.concat([opened, Buffer.from([0, 0, 5, 0, 1, 0, 0, 0, stream, 0, 0, 0, 0, 0])]);
      };
      // The second call names the server by the entry that the first one made: behind `te` and the content type.
      socket.write(Buffer.concat([PREFACE, SETTINGS, call(1, authority), call(3, Buffer.of(0x80 | (62 + 2)))]));
      const ended = new Set<number>();
      const resets: number[] = [];
      for await (const { type: kind, flags, stream } of framesOf(socket)) {
        if (kind === 3) resets.push(stream);
        if (kind === 1 && (flags & 1) !== 0) ended.add(stream);
        if (ended.size + resets.length === 2) break;
      }
      expect({ ended: Array.from(ended), resets }).toEqual({ ended: [1, 3], resets: [] });
    } finally {
      socket.destroy();
      await pair.close();
    }
  });
});

/** What a server sends, frame by frame. */
async function* framesOf(socket: net.Socket): AsyncGenerator<{ type: number; flags: number; stream: number }> {
  let bytes = Buffer.of();
  for await (const part of socket) {
    bytes = Buffer.concat([bytes, part as Buffer]);
    while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
      yield { type: bytes.readUInt8(3), flags: bytes.readUInt8(4), stream: bytes.readUInt32BE(5) };
      bytes = bytes.subarray(9 + bytes.readUIntBE(0, 3));
    }
  }
}
