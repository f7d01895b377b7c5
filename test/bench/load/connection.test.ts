import http2 from 'node:http2';
import net from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { scratchFolder } from '../../support/scratch.ts';
import { callBlock, framed, LoadConnection, NOT_PROCESSED } from './connection.ts';

const folder = scratchFolder();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

/** A gRPC answerer over node:http2, and a connection to it. */
async function pair(answer: (request: Buffer, stream: http2.ServerHttp2Stream) => void, settings: http2.Settings = {}) {
  const server = http2.createServer({ settings });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => answer(Buffer.concat(parts).subarray(5), stream));
  });
  const socketPath = path.join(folder, `${Math.random()}.sock`);
  server.listen(socketPath);
  await once(server, 'listening');
  const socket = net.connect(socketPath);
  await once(socket, 'connect');
  const connection = new LoadConnection(socket);
  cleanups.push(() => {
    connection.close();
    server.close();
  });
  return connection;
}

function answerWith(stream: http2.ServerHttp2Stream, message: Buffer, trailers: http2.OutgoingHttpHeaders): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(framed(message));
}

const block = callBlock('/a.B/C', 'http');
const ask = (connection: LoadConnection, request: Buffer) =>
  new Promise<{ messages: Buffer[]; status: number | undefined; message: string }>((resolve) => {
    const messages: Buffer[] = [];
    connection.call(block, framed(request), {
      message: (bytes) => void messages.push(Buffer.from(bytes)),
      end: (status, message) => resolve({ messages, status, message }),
    });
  });

describe('a connection of the load side', () => {
  it('reads messages and status', async () => {
    const connection = await pair((request, stream) => answerWith(stream, request, { 'grpc-status': '0' }));
    for (const text of ['one', 'two', '']) {
      const answer = await ask(connection, Buffer.from(text));
      expect(answer).toEqual({ messages: [Buffer.from(text)], status: 0, message: '' });
    }
  });

  it('reads every printable character of a message, however it is coded', async () => {
    const text = String.fromCharCode(...Array.from({ length: 95 }, (_, n) => 32 + n)).trim();
    const connection = await pair((request, stream) =>
      answerWith(stream, request, { 'grpc-status': '13', 'grpc-message': text }),
    );
    expect(await ask(connection, Buffer.of(1))).toMatchObject({ status: 13, message: text });
  });

  it('sends and takes more than the windows hold', async () => {
    const connection = await pair((request, stream) => answerWith(stream, request, { 'grpc-status': '0' }));
    const large = Buffer.alloc(1_500_000, 'finial');
    const answers = await Promise.all([ask(connection, large), ask(connection, large), ask(connection, Buffer.of(1))]);
    expect(answers.map(({ status, messages }) => [status, messages[0]?.equals(large)])).toEqual([
      [0, true],
      [0, true],
      [0, false],
    ]);
  });

  it('keeps to the number of streams that the server allows', async () => {
    let open = 0;
    let most = 0;
    const answer = (request: Buffer, stream: http2.ServerHttp2Stream): void => {
      open += 1;
      most = Math.max(most, open);
      setImmediate(() => {
        open -= 1;
        answerWith(stream, request, { 'grpc-status': '0' });
      });
    };
    const connection = await pair(answer, { maxConcurrentStreams: 2 });
    await ask(connection, Buffer.of(0));
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => ask(connection, Buffer.of(n))));
    expect(answers.every(({ status }) => status === 0)).toBe(true);
    expect(most).toBeLessThanOrEqual(2);
  });

  it('tells calls that their connection or their stream was cut', async () => {
    const connection = await pair((_, stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
    expect(await ask(connection, Buffer.of(1))).toMatchObject({ status: undefined });
    const other = await pair((_, stream) => stream.session?.destroy());
    expect(await ask(other, Buffer.of(1))).toMatchObject({ status: undefined });
    const third = await pair(() => undefined);
    third.close();
    expect(await ask(third, Buffer.of(1))).toMatchObject({ status: undefined, message: 'the connection is closed' });
  });

  it('lets the server finish what it took when it says good-bye, and tells the other calls', async () => {
    let taken = (): void => undefined;
    const both = new Promise<void>((resolve) => (taken = resolve));
    const connection = await pair((request, stream) => {
      if (request[0] === 1) void both.then(() => answerWith(stream, request, { 'grpc-status': '0' }));
      // The first stream has the number 1.
      else stream.session?.goaway(http2.constants.NGHTTP2_NO_ERROR, 1);
    });
    const first = ask(connection, Buffer.of(1));
    expect(await ask(connection, Buffer.of(2))).toMatchObject({ status: undefined, message: NOT_PROCESSED });
    expect(connection.leaving).toBe(true);
    expect(await ask(connection, Buffer.of(3))).toMatchObject({ status: undefined, message: NOT_PROCESSED });
    expect(connection.closed).toBe(false);
    taken();
    expect(await first).toMatchObject({ status: 0 });
    expect(connection.closed).toBe(true);
  });

  it('cancels a call, and hears no more of it', async () => {
    let cut = (): void => undefined;
    const seen = new Promise<void>((resolve) => (cut = resolve));
    const connection = await pair((request, stream) => {
      stream.respond({ ':status': 200 });
      stream.write(framed(request));
      stream.on('close', () => cut());
    });
    let ended = false;
    await new Promise<void>((resolve) => {
      const cancel = connection.call(block, framed(Buffer.of(7)), {
        message: () => {
          cancel();
          resolve();
        },
        end: () => (ended = true),
      });
    });
    await seen;
    expect(ended).toBe(false);
  });
});
