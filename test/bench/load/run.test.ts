import { once } from 'node:events';
import http2 from 'node:http2';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { scratchFolder } from '../../support/scratch.ts';
import { framed } from './connection.ts';
import type { LoadPlan } from './plan.ts';
import { runLoad } from './run.ts';

const folder = scratchFolder();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

/** A server that answers streams by `answer`, and a plan of so many calls to it. */
async function planFor(answer: (stream: http2.ServerHttp2Stream) => void, calls: number): Promise<LoadPlan> {
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.resume();
    answer(stream);
  });
  const socketPath = path.join(folder, `${cleanups.length}-${Date.now()}.sock`);
  server.listen(socketPath);
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return {
    ...{ peers: [{ socketPath }], connections: 2, concurrency: 3, path: '/a.B/C', once: true },
    requests: Array.from({ length: calls }, () => Buffer.of(1)),
    ...{ warmUpSeconds: 0, seconds: 60, sampleEvery: 10 },
  };
}

function answerWell(stream: http2.ServerHttp2Stream): void {
  stream.respond({ ':status': 200 }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(framed(Buffer.from('answer')));
}

describe('a load', () => {
  it('counts answers, and keeps some of them', async () => {
    const result = await runLoad(await planFor(answerWell, 50));
    expect(result).toMatchObject({ ops: 50, failures: {}, reconnects: 0 });
    expect(result.samples.map(({ answer }) => Buffer.from(answer).toString())).toEqual(Array(5).fill('answer'));
  });

  it('connects again where the server says good-bye, and loses no call', async () => {
    const plan = await planFor((stream) => {
      // As Node.js does to whoever cancels more than a thousand calls in a second.
      if ((stream.id ?? 0) > 11) stream.session?.goaway(http2.constants.NGHTTP2_INTERNAL_ERROR, (stream.id ?? 0) - 2);
      else answerWell(stream);
    }, 60);
    const result = await runLoad(plan);
    expect(result).toMatchObject({ ops: 60, failures: {} });
    expect(result.reconnects).toBeGreaterThanOrEqual(60 / 6 - 2);
  });

  it('counts what failed by its status, apart from answers', async () => {
    let calls = 0;
    const plan = await planFor((stream) => {
      calls += 1;
      if (calls % 2 === 0) answerWell(stream);
      else stream.respond({ ':status': 200, 'grpc-status': '7', 'grpc-message': 'no' }, { endStream: true });
    }, 20);
    expect(await runLoad(plan)).toMatchObject({ ops: 10, failures: { '7: no': 10 } });
  });
});
