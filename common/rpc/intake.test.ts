import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/daemons.ts';
import { callStart, connectRaw, FRAME, frame, opening, type RawConnection } from '../../test/support/raw-http2.ts';
import { issueCa } from '../../test/support/pki.ts';
import { encodePem } from '../../spiffe/x509/pem.ts';
import { ending, messageHead, openSession, startCall } from '../../test/support/raw-http2-session.ts';
import { type RpcPair, type RpcPairOptions, rpcPair } from '../../test/support/rpc-pair.ts';
import { messageMeter } from './intake.ts';
import { FinialError } from '../errors.ts';
import { bidi, implement, unary } from './service.ts';
import { agentService, workloadService } from './services.ts';

const METHOD = '/SpiffeWorkloadAPI/ValidateJWTSVID';
const MIB = 1024 * 1024;

const open: { close(): void | Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

async function start(limits: RpcPairOptions['limits'] = {}): Promise<RpcPair> {
  const services = [implement(workloadService(), { ValidateJWTSVID: unary(async () => ({})) })];
  const pair = await rpcPair(services, { limits });
  open.push(pair);
  return pair;
}

async function raw(pair: RpcPair): Promise<RawConnection> {
  const connection = await connectRaw({ socketPath: pair.socketPath });
  open.push({ close: () => connection.destroy() });
  return connection;
}

function session(pair: RpcPair) {
  const one = openSession({ socketPath: pair.socketPath });
  open.push({ close: () => one.destroy() });
  return one;
}

/** Sends all but the last byte of a message of 4 MiB. */
function leaveUnfinished(one: ReturnType<typeof openSession>) {
  const stream = startCall(one, METHOD);
  stream.write(messageHead(4 * MIB));
  stream.write(Buffer.alloc(4 * MIB - 1));
  return stream;
}

describe('the meter of messages', () => {
  it('follows messages through chunks of any size', () => {
    const messages = Buffer.concat([
      messageHead(3),
      Buffer.from('abc'),
      messageHead(0),
      messageHead(300),
      Buffer.alloc(300),
    ]);
    for (const size of [1, 2, 3, 5, 7, 100, 1000]) {
      const meter = messageMeter();
      const seen: { bytes: number; ended: boolean }[] = [];
      for (let at = 0; at < messages.length; at += size) seen.push(meter(messages.subarray(at, at + size)));
      expect(seen.at(-1)).toEqual({ bytes: 0, ended: true });
      // Several that end within one chunk count as one end.
      if (size <= 5) expect(seen.filter(({ ended }) => ended).length).toBe(3);
    }
  });

  it('tells how much there is of one that is unfinished', () => {
    const meter = messageMeter();
    expect(meter(messageHead(10).subarray(0, 3))).toEqual({ bytes: 3, ended: false });
    expect(meter(messageHead(10).subarray(3))).toEqual({ bytes: 5, ended: false });
    expect(meter(Buffer.alloc(12))).toEqual({ bytes: 2, ended: true });
  });
});

describe('unfinished messages', () => {
  it('are refused beyond 16 MiB on one connection, and the connection serves on', async () => {
    const pair = await start();
    const one = session(pair);
    const endings: string[] = [];
    for (let index = 0; index < 10; index += 1) void ending(leaveUnfinished(one)).then((how) => endings.push(how));
    // Four messages less a byte each are what may stay; while they come in together, one more may have to go.
    await eventually('refusals', () => expect(endings.length).toBeGreaterThanOrEqual(6));
    const honest = startCall(one, METHOD);
    honest.end(messageHead(0));
    expect(await ending(honest)).toBe('grpc 0');
    expect(new Set(endings)).toEqual(new Set(['grpc 8']));
    expect(endings.length).toBeLessThan(10);
  });

  it('are refused on the connection that holds most when all hold too much', async () => {
    const pair = await start();
    const modest = session(pair);
    const waiting = startCall(modest, METHOD);
    waiting.write(messageHead(1));
    const greedy = Array.from({ length: 6 }, () => session(pair));
    const refused = greedy.map((one) =>
      Promise.any([1, 2, 3].map(async () => expect(await ending(leaveUnfinished(one))).toBe('grpc 8'))),
    );
    await Promise.any(refused);
    waiting.end(Buffer.alloc(1));
    // Field 0 does not exist, so the message was read as a whole.
    expect(await ending(waiting)).toBe('grpc 13');
  });

  it('are refused when they take too long', async () => {
    const pair = await start({ messageMs: 100 });
    const connection = session(pair);
    const silent = startCall(connection, METHOD);
    const slow = startCall(connection, METHOD);
    slow.write(messageHead(10));
    expect(await Promise.all([ending(silent), ending(slow)])).toEqual(['grpc 4', 'grpc 4']);
    await eventually('closed streams', () => expect([silent.closed, slow.closed]).toEqual([true, true]));
  });
});

describe('open calls', () => {
  it('are refused beyond a number, but never the few of a connection that has no more', async () => {
    const pair = await start({ openCalls: 10 });
    const greedy = session(pair);
    const endings: string[] = [];
    for (let index = 0; index < 15; index += 1) {
      void ending(startCall(greedy, METHOD)).then((how) => endings.push(how));
    }
    await eventually('five refusals', () => expect(endings).toEqual(Array.from({ length: 5 }, () => 'grpc 8')));
    const modest = session(pair);
    const calls = Array.from({ length: 3 }, () => startCall(modest, METHOD));
    for (const call of calls) call.end(messageHead(0));
    expect(await Promise.all(calls.map(ending))).toEqual(['grpc 0', 'grpc 0', 'grpc 0']);
  });
});

describe('a stream that was answered before its request ended', () => {
  it('is closed after all of the answer, whatever its size', async () => {
    const services = [
      implement(agentService(), {
        AttestAgent: bidi(async function* () {
          for (let index = 0; index < 20; index += 1) yield Buffer.alloc(100_000);
          throw new FinialError('aborted', 'enough');
        }),
      }),
    ];
    const pair = await rpcPair(services);
    open.push(pair);
    const one = session(pair);
    for (let time = 0; time < 20; time += 1) {
      const stream = startCall(one, '/spire.api.server.agent.v1.Agent/AttestAgent');
      stream.write(messageHead(0));
      let bytes = 0;
      stream.on('data', (part: Buffer) => (bytes += part.length));
      expect(await ending(stream)).toBe('grpc 10');
      expect(bytes).toBe(20 * 100_005);
      await eventually('a closed stream', () => expect(stream.closed).toBe(true));
    }
  });
});

describe('a connection', () => {
  it('is closed when its client does not begin to speak HTTP/2', async () => {
    const pair = await start({ openingMs: 100 });
    const [silent, slow, honest] = await Promise.all([raw(pair), raw(pair), raw(pair)]);
    slow.send(opening().subarray(0, 20));
    honest.send(opening());
    await Promise.all([silent.whenClosed, slow.whenClosed]);
    honest.send(callStart(1, '/unknown/Method'));
    await eventually('an answer', () => expect(honest.frames.some(({ type }) => type === FRAME.headers)).toBe(true));
  });

  it('is closed after its client broke HTTP/2, though Node 20 forgets it', async () => {
    const pair = await start({ keepaliveMs: 100 });
    const { accepted, connect, close } = await tlsInFrontOf(pair);
    open.push({ close });
    const client = await connect();
    client.send(opening(), frame(FRAME.data, 0, 0, Buffer.alloc(10)));
    await eventually('GOAWAY', () => expect(client.goaway).toBe(1));
    client.destroy();
    await eventually('a closed socket', () => expect(accepted.map(({ destroyed }) => destroyed)).toEqual([true]));
  });

  it('survives calls that are reset together with their headers', async () => {
    const pair = await start();
    const connection = await raw(pair);
    connection.send(opening());
    const calls = Array.from({ length: 500 }, (_, index) => 2 * index + 1);
    connection.send(
      ...calls.flatMap((id) => [callStart(id, METHOD), frame(FRAME.rstStream, 0, id, Buffer.of(0, 0, 0, 8))]),
    );
    const honest = startCall(session(pair), METHOD);
    honest.end(messageHead(0));
    expect(await ending(honest)).toBe('grpc 0');
  });
});

/** Serves the pair's server over TLS too. */
async function tlsInFrontOf({ server }: RpcPair) {
  const accepted: tls.TLSSocket[] = [];
  const certificate = issueCa();
  const identity = {
    cert: encodePem('CERTIFICATE', certificate.der),
    key: certificate.key.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
  const listener = tls.createServer({ ALPNProtocols: ['h2'], ...identity }, (socket) => {
    accepted.push(socket);
    server.accept(socket, { transport: 'tcp', address: '127.0.0.1', port: 1, certificate: undefined });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { accepted, connect: async () => connectRaw({ port }), close: () => void listener.close() };
}
