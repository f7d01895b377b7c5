import { afterEach, describe, expect, it } from 'vitest';
import { deferred, type RpcPair, type RpcPairOptions, rpcPair } from '../../test/support/rpc-pair.ts';
import { FinialError } from '../errors.ts';
import { type Logger, silentLogger } from '../log/logger.ts';
import type { Call } from './call.ts';
import { connectUnix } from './client.ts';
import { bidi, encodeResponse, implement, type ImplementedService, serverStream, unary } from './service.ts';
import { agentService, workloadService } from './services.ts';

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

async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const drawn: T[] = [];
  for await (const message of messages) drawn.push(message);
  return drawn;
}

/** A handler that ends its stream without a message. */
async function* nothing(): AsyncGenerator<object> {
  yield* [];
}

describe('a single call', () => {
  it('answers, and shows the handler who calls and how', async () => {
    let seen: Call | undefined;
    const { channel } = await start(
      [
        implement(workload, {
          FetchJWTSVID: unary(async (request, call) => {
            seen = call;
            return { svids: request.audience.map((svid) => ({ spiffe_id: request.spiffe_id, svid })) };
          }),
        }),
      ],
      { peer: (connection) => ({ transport: 'tcp', address: '192.0.2.1', port: connection, certificate: undefined }) },
    );
    const reply = await channel.call(
      workload,
      'FetchJWTSVID',
      { audience: ['a', 'b'], spiffe_id: 'spiffe://td/w' },
      { metadata: { 'Workload.Spiffe.Io': 'true' } },
    );
    expect(reply.svids).toEqual([
      { spiffe_id: 'spiffe://td/w', svid: 'a', hint: '' },
      { spiffe_id: 'spiffe://td/w', svid: 'b', hint: '' },
    ]);
    expect(seen?.method).toBe('/SpiffeWorkloadAPI/FetchJWTSVID');
    expect(seen?.metadata.get('workload.spiffe.io')).toEqual(['true']);
    expect(seen?.peer).toMatchObject({ address: '192.0.2.1', port: 1 });
    expect(seen?.signal.aborted).toBe(false);
  });

  it('keeps the peers of several connections apart', async () => {
    const handler = unary(async (_request: unknown, call: Call) => ({
      spiffe_id: call.peer.transport === 'tcp' ? String(call.peer.port) : 'none',
    }));
    const pair = await start([implement(workload, { ValidateJWTSVID: handler })], {
      peer: (connection) => ({ transport: 'tcp', address: '192.0.2.1', port: connection, certificate: undefined }),
    });
    const other = connectUnix(pair.socketPath);
    const one = await pair.channel.call(workload, 'ValidateJWTSVID', {});
    const two = await other.call(workload, 'ValidateJWTSVID', {});
    const again = await pair.channel.call(workload, 'ValidateJWTSVID', {});
    other.close();
    expect([one, two, again].map((reply) => reply.spiffe_id)).toEqual(['1', '2', '1']);
  });

  it('takes no more calls on a connection that is old enough', async () => {
    const handler = unary(async (_request: unknown, call: Call) => ({
      spiffe_id: call.peer.transport === 'tcp' ? String(call.peer.port) : 'none',
    }));
    const { channel } = await start([implement(workload, { ValidateJWTSVID: handler })], {
      limits: { maxConnectionAgeMs: 20 },
      peer: (connection) => ({ transport: 'tcp', address: '192.0.2.1', port: connection, certificate: undefined }),
    });
    const connection = async (): Promise<string> => (await channel.call(workload, 'ValidateJWTSVID', {})).spiffe_id;
    expect(await connection()).toBe('1');
    await expect.poll(connection).not.toBe('1');
  });

  it('sends bytes that were encoded before as they are', async () => {
    const encoded = encodeResponse(workload, 'FetchJWTSVID', { svids: [{ svid: 'once' }] });
    const { channel } = await start([implement(workload, { FetchJWTSVID: unary(async () => encoded) })]);
    for (let i = 0; i < 2; i += 1) {
      const reply = await channel.call(workload, 'FetchJWTSVID', {});
      expect(reply.svids[0]?.svid).toBe('once');
    }
  });

  it('tells the handler when the caller cancels, and when its deadline passes', async () => {
    const started = deferred();
    const reasons: unknown[] = [];
    const ended = [deferred(), deferred()];
    const hang = unary(async (_request: unknown, call: Call): Promise<object> => {
      started.resolve();
      await new Promise<void>((resolve) => {
        call.signal.addEventListener('abort', () => resolve());
      });
      reasons.push((call.signal.reason as FinialError).code);
      ended[reasons.length - 1]?.resolve();
      return {};
    });
    const { channel } = await start([implement(workload, { FetchJWTSVID: hang })]);
    const stop = new AbortController();
    const call = channel.call(workload, 'FetchJWTSVID', {}, { signal: stop.signal });
    await started.promise;
    stop.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
    await ended[0]?.promise;
    const late = channel.call(workload, 'FetchJWTSVID', {}, { timeoutMs: 50 });
    await expect(late).rejects.toMatchObject({ code: 'deadline-exceeded' });
    await ended[1]?.promise;
    expect(reasons[0]).toBe('cancelled');
    // Client and server both watch the deadline; either may be first to end the call.
    expect(['cancelled', 'deadline-exceeded']).toContain(reasons[1]);
  });

  it('refuses a request larger than the limit', async () => {
    let handled = 0;
    const handler = unary(async () => {
      handled += 1;
      return {};
    });
    const { channel } = await start([implement(workload, { ValidateJWTSVID: handler })], {
      limits: { maxReceiveBytes: 1000 },
    });
    await channel.call(workload, 'ValidateJWTSVID', { svid: 'x'.repeat(900) });
    const large = channel.call(workload, 'ValidateJWTSVID', { svid: 'x'.repeat(1001) });
    await expect(large).rejects.toMatchObject({ code: 'resource-exhausted' });
    expect(handled).toBe(1);
  });
});

describe('failures', () => {
  it('reach the caller with code, message and denial', async () => {
    const { channel } = await start([
      implement(workload, {
        FetchJWTSVID: unary(() => Promise.reject(new FinialError('not-found', 'no such “thing” 100%'))),
        ValidateJWTSVID: unary(() =>
          Promise.reject(new FinialError('permission-denied', 'agent is banned', { denial: 'agent-banned' })),
        ),
      }),
    ]);
    await expect(channel.call(workload, 'FetchJWTSVID', {})).rejects.toMatchObject({
      name: 'FinialError',
      code: 'not-found',
      message: 'no such “thing” 100%',
      denial: undefined,
    });
    await expect(channel.call(workload, 'ValidateJWTSVID', {})).rejects.toMatchObject({
      code: 'permission-denied',
      denial: 'agent-banned',
    });
  });

  it('hide what was not meant for callers, and log it', async () => {
    const lines: [string, unknown][] = [];
    const log: Logger = { ...silentLogger, error: (message, fields) => lines.push([message, fields?.['error']]) };
    const { channel } = await start(
      [
        implement(workload, {
          FetchJWTSVID: unary(() => Promise.reject(new Error('secret of the house'))),
          // A response that cannot be encoded is a defect too.
          ValidateJWTSVID: unary(async (): Promise<object> => ({ claims: 5 })),
        }),
      ],
      { log },
    );
    for (const method of ['FetchJWTSVID', 'ValidateJWTSVID'] as const) {
      await expect(channel.call(workload, method, {})).rejects.toMatchObject({
        code: 'internal',
        message: 'internal error',
      });
    }
    expect(lines).toHaveLength(2);
    expect(lines[0]).toEqual(['Unexpected error in handler', 'secret of the house']);
  });

  it('are Unimplemented for what nobody answers', async () => {
    const { channel } = await start([implement(workload, {})]);
    await expect(channel.call(workload, 'FetchJWTSVID', {})).rejects.toMatchObject({
      code: 'unimplemented',
      message: 'method FetchJWTSVID not implemented',
    });
    await expect(all(channel.serverStream(workload, 'FetchX509SVID', {}))).rejects.toMatchObject({
      code: 'unimplemented',
    });
    await expect(channel.call(agents, 'CountAgents', {})).rejects.toMatchObject({ code: 'unimplemented' });
  });

  it('are unavailable when nobody listens', async () => {
    const channel = connectUnix('/nonexistent/api.sock');
    await expect(channel.call(workload, 'FetchJWTSVID', {})).rejects.toMatchObject({ code: 'unavailable' });
    channel.close();
  });
});

describe('interceptors', () => {
  it('run in order before the handler, and their endings in reverse', async () => {
    const trace: string[] = [];
    const named = (name: string) => async (call: Call, request: unknown) => {
      trace.push(`${name} ${call.method.split('/')[2]} ${JSON.stringify(request)}`);
      return (outcome: { error?: FinialError }) => void trace.push(`${name} ${outcome.error?.code ?? 'ok'}`);
    };
    const { channel } = await start(
      [
        implement(workload, { ValidateJWTSVID: unary(() => Promise.reject(new FinialError('aborted', 'no'))) }),
        implement(agents, { AttestAgent: bidi(nothing) }),
      ],
      { interceptors: [named('a'), async () => undefined, named('b')] },
    );
    await expect(channel.call(workload, 'ValidateJWTSVID', { svid: 's' })).rejects.toMatchObject({ code: 'aborted' });
    const request = '{"audience":"","svid":"s"}';
    expect(trace.splice(0)).toEqual([
      `a ValidateJWTSVID ${request}`,
      `b ValidateJWTSVID ${request}`,
      'b aborted',
      'a aborted',
    ]);
    await all(channel.bidi(agents, 'AttestAgent').responses);
    await expect.poll(() => trace).toEqual(['a AttestAgent undefined', 'b AttestAgent undefined', 'b ok', 'a ok']);
  });

  it('keep a refused call from its handler', async () => {
    let handled = false;
    const { channel } = await start(
      [
        implement(workload, {
          FetchX509SVID: serverStream(() => {
            handled = true;
            return nothing();
          }),
        }),
      ],
      { interceptors: [() => Promise.reject(new FinialError('permission-denied', 'not you'))] },
    );
    const stream = all(channel.serverStream(workload, 'FetchX509SVID', {}));
    await expect(stream).rejects.toMatchObject({ code: 'permission-denied', message: 'not you' });
    expect(handled).toBe(false);
  });
});
