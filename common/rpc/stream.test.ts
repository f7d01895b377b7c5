import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { deferred, type RpcPair, type RpcPairOptions, rpcPair } from '../../test/support/rpc-pair.ts';
import { FinialError } from '../errors.ts';
import type { Call } from './call.ts';
import { bidi, encodeResponse, implement, type ImplementedService, serverStream, unary } from './service.ts';
import { agentService, workloadService } from './services.ts';
import { orAbort, readMessages } from './stream.ts';

const workload = workloadService();
const agents = agentService();

const pairs: RpcPair[] = [];
async function start(services: readonly ImplementedService[], options?: RpcPairOptions): Promise<RpcPair> {
  const pair = await rpcPair(services, options);
  pairs.push(pair);
  return pair;
}
afterEach(async () => {
  await Promise.all(pairs.splice(0).map((pair) => pair.close()));
});

const forever = new AbortController().signal;

/** Resolves when `signal` aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

describe('a server stream', () => {
  it('delivers every message, encoded or not, then ends', async () => {
    const encoded = encodeResponse(workload, 'FetchJWTBundles', { bundles: { b: Buffer.from('2') } });
    const { channel } = await start([
      implement(workload, {
        FetchJWTBundles: serverStream(async function* () {
          yield { bundles: { a: Buffer.from('1') } };
          yield encoded;
        }),
      }),
    ]);
    const seen: string[] = [];
    for await (const { bundles } of channel.serverStream(workload, 'FetchJWTBundles', {})) {
      seen.push(...Object.entries(bundles).map(([key, value]) => `${key}${value.toString()}`));
    }
    expect(seen).toEqual(['a1', 'b2']);
  });

  it('delivers what came before a failure, then the failure', async () => {
    const { channel } = await start([
      implement(workload, {
        FetchX509Bundles: serverStream(async function* () {
          yield { crl: [Buffer.from('x')] };
          throw new FinialError('permission-denied', 'no more', { denial: 'agent-must-reattest' });
        }),
      }),
    ]);
    let messages = 0;
    const drawn = (async () => {
      for await (const message of channel.serverStream(workload, 'FetchX509Bundles', {}))
        messages += message.crl.length;
    })();
    await expect(drawn).rejects.toMatchObject({ code: 'permission-denied', denial: 'agent-must-reattest' });
    expect(messages).toBe(1);
  });

  it('draws no more from the handler than the client takes', async () => {
    const size = 64 * 1024;
    let drawn = 0;
    const { channel } = await start([
      implement(workload, {
        FetchX509SVID: serverStream(async function* () {
          for (; drawn < 1000; drawn += 1) yield { crl: [Buffer.alloc(size)] };
        }),
      }),
    ]);
    const reader = channel.serverStream(workload, 'FetchX509SVID', {})[Symbol.asyncIterator]();
    await reader.next();
    let before = -1;
    // At rest once nothing was drawn between two looks.
    await expect.poll(() => before === (before = drawn), { interval: 50 }).toBe(true);
    expect(drawn).toBeLessThan(200);
    const atRest = drawn;
    for (let i = 0; i < 100; i += 1) await reader.next();
    await expect.poll(() => drawn).toBeGreaterThan(atRest);
    await reader.return?.(undefined);
  });

  it('tells the handler when the client leaves, and runs its cleanup', async () => {
    const cleaned = deferred();
    let reason: unknown;
    const { channel } = await start([
      implement(workload, {
        FetchX509SVID: serverStream(async function* (_request: unknown, call: Call) {
          try {
            yield {};
            await aborted(call.signal);
            reason = call.signal.reason;
          } finally {
            cleaned.resolve();
          }
        }),
      }),
    ]);
    for await (const _ of channel.serverStream(workload, 'FetchX509SVID', {})) break;
    await cleaned.promise;
    expect(reason).toMatchObject({ code: 'cancelled' });
  });

  it('ends for the client when its signal aborts', async () => {
    const { channel } = await start([
      implement(workload, {
        FetchX509SVID: serverStream(async function* (_request: unknown, call: Call) {
          yield {};
          await aborted(call.signal);
        }),
      }),
    ]);
    const stop = new AbortController();
    const reader = channel.serverStream(workload, 'FetchX509SVID', {}, { signal: stop.signal })[Symbol.asyncIterator]();
    await reader.next();
    const next = reader.next();
    stop.abort();
    await expect(next).rejects.toMatchObject({ code: 'cancelled' });
    await expect(channel.call(workload, 'FetchJWTSVID', {}, { signal: stop.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});

describe('a stream in both directions', () => {
  /** The shape of attestation: a question per answer until the client has nothing more to say. */
  const attest = implement(agents, {
    AttestAgent: bidi(async function* (requests) {
      for await (const request of requests) {
        if (request.step === 'params') yield { challenge: Buffer.from(`prove ${request.params?.data?.type}`) };
        else yield { result: { reattestable: request.challenge_response?.toString() === 'proof' } };
      }
    }),
  });

  it('takes turns', async () => {
    const { channel } = await start([attest]);
    const call = channel.bidi(agents, 'AttestAgent');
    const responses = call.responses[Symbol.asyncIterator]();
    await call.send({ params: { data: { type: 'x509pop' } } });
    expect((await responses.next()).value?.challenge?.toString()).toBe('prove x509pop');
    await call.send({ challenge_response: Buffer.from('proof') });
    expect((await responses.next()).value).toMatchObject({
      step: 'result',
      result: { reattestable: true, svid: null },
    });
    call.end();
    expect((await responses.next()).done).toBe(true);
  });

  it('fails both directions when the handler does', async () => {
    const { channel } = await start([
      implement(agents, {
        AttestAgent: bidi(() => {
          throw new FinialError('invalid-argument', 'malformed param');
        }),
      }),
    ]);
    const call = channel.bidi(agents, 'AttestAgent');
    await expect(call.responses[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'malformed param',
    });
    await expect(call.send({})).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('cancels', async () => {
    const cleaned = deferred<unknown>();
    const { channel } = await start([
      implement(agents, {
        AttestAgent: bidi(async function* (requests, call) {
          try {
            yield { challenge: Buffer.from('?') };
            for await (const _ of requests) yield {};
          } finally {
            cleaned.resolve(call.signal.reason);
          }
        }),
      }),
    ]);
    const call = channel.bidi(agents, 'AttestAgent');
    const responses = call.responses[Symbol.asyncIterator]();
    await responses.next();
    call.cancel();
    await expect(responses.next()).rejects.toMatchObject({ code: 'cancelled' });
    expect(await cleaned.promise).toMatchObject({ code: 'cancelled' });
  });
});

describe('a server that stops', () => {
  it('ends streams as unavailable, lets single calls finish, and takes no more connections', async () => {
    const asked = deferred();
    const answer = deferred();
    const pair = await start([
      implement(workload, {
        FetchX509SVID: serverStream(async function* (_request: unknown, call: Call) {
          yield {};
          await aborted(call.signal);
        }),
        ValidateJWTSVID: unary(async () => {
          asked.resolve();
          await answer.promise;
          return { spiffe_id: 'spiffe://td/late' };
        }),
      }),
    ]);
    const stream = pair.channel.serverStream(workload, 'FetchX509SVID', {})[Symbol.asyncIterator]();
    await stream.next();
    const single = pair.channel.call(workload, 'ValidateJWTSVID', {});
    await asked.promise;
    const stopped = pair.server.stop(10_000);
    await expect(stream.next()).rejects.toMatchObject({ code: 'unavailable', message: 'the server is shutting down' });
    answer.resolve();
    expect((await single).spiffe_id).toBe('spiffe://td/late');
    await stopped;
    await expect(pair.channel.call(workload, 'ValidateJWTSVID', {})).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('breaks off what does not finish in time', async () => {
    const asked = deferred();
    const pair = await start([
      implement(workload, {
        ValidateJWTSVID: unary(async (_request: unknown, call: Call) => {
          asked.resolve();
          await aborted(call.signal);
          return {};
        }),
      }),
    ]);
    const single = pair.channel.call(workload, 'ValidateJWTSVID', {});
    await asked.promise;
    await Promise.all([
      expect(single).rejects.toMatchObject({ code: 'unavailable', message: 'the server is shutting down' }),
      pair.server.stop(0),
    ]);
  });
});

describe('readMessages', () => {
  it('reads what came before the end', async () => {
    const stream = new PassThrough({ objectMode: true });
    stream.write('a');
    stream.end('b');
    const read: string[] = [];
    for await (const message of readMessages<string>(stream, forever)) read.push(message);
    expect(read).toEqual(['a', 'b']);
  });

  it('stops at once when its signal aborts', async () => {
    const stop = new AbortController();
    const next = readMessages(new PassThrough({ objectMode: true }), stop.signal).next();
    stop.abort(new FinialError('aborted', 'enough'));
    await expect(next).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('orAbort', () => {
  it('passes the outcome on', async () => {
    await expect(orAbort(Promise.resolve(1), forever)).resolves.toBe(1);
    await expect(orAbort(Promise.reject(new Error('no')), forever)).rejects.toThrow('no');
  });

  it('gives up when the signal has aborted already', async () => {
    await expect(orAbort(Promise.resolve(1), AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
  });
});
