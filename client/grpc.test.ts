import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { testSource, type TestSource, todaysCa } from '../test/support/tls-source.ts';
import { type Authorize, authorizeAny, authorizeId } from './authorize.ts';
import { grpcCredentials, grpcPeerId, listenGrpc } from './grpc.ts';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0).toReversed()) close();
});

const text = { serialize: (value: string) => Buffer.from(value), deserialize: (bytes: Buffer) => bytes.toString() };
const service = {
  greet: {
    ...{ path: '/test.Greeter/Greet', requestStream: false, responseStream: false },
    ...{ requestSerialize: text.serialize, requestDeserialize: text.deserialize },
    ...{ responseSerialize: text.serialize, responseDeserialize: text.deserialize },
  },
  greetForEver: {
    ...{ path: '/test.Greeter/GreetForEver', requestStream: false, responseStream: true },
    ...{ requestSerialize: text.serialize, requestDeserialize: text.deserialize },
    ...{ responseSerialize: text.serialize, responseDeserialize: text.deserialize },
  },
} as const;

/** A gRPC server that greets callers by their IDs, on a port for verified ones and on one that is open to all. */
async function greeter(source: TestSource, authorize: Authorize) {
  const server = new grpc.Server();
  const streams: grpc.ServerWritableStream<string, string>[] = [];
  const greet = (call: grpc.ServerUnaryCall<string, string>, answer: grpc.sendUnaryData<string>): void => {
    try {
      answer(null, `hello ${grpcPeerId(call)}`);
    } catch (error) {
      answer({ code: grpc.status.UNAUTHENTICATED, details: String(error) });
    }
  };
  server.addService(service, {
    greet,
    greetForEver: (call: grpc.ServerWritableStream<string, string>) => {
      streams.push(call);
      call.write(`hello ${grpcPeerId(call)}`);
    },
  });
  const refused: string[] = [];
  const options = { authorize, host: '127.0.0.1', onRefused: ({ message }: Error) => void refused.push(message) };
  const listener = await listenGrpc(grpc, server, source, options);
  const openPort = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  );
  open.push(() => {
    listener.close();
    server.forceShutdown();
  });
  return { port: listener.port, openPort, refused, streams };
}

function clientOf(port: number, credentials: grpc.ChannelCredentials): grpc.Client {
  const client = new grpc.Client(`127.0.0.1:${port}`, credentials, { 'grpc.use_local_subchannel_pool': 1 });
  open.push(() => client.close());
  return client;
}

function greet(client: grpc.Client): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = service.greet;
  return new Promise((resolve, reject) => {
    const deadline = { deadline: Date.now() + 5000 };
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, 'hi', deadline, (error, answer) =>
      error === null ? resolve(answer ?? '') : reject(error),
    );
  });
}

const ca = todaysCa();
const toWeb = { authorize: authorizeId('spiffe://a.test/web') };

describe('gRPC', () => {
  it('names the caller to the server, and lets each connection present the identity of its moment', async () => {
    const web = testSource('spiffe://a.test/web', ca);
    const near = testSource('spiffe://a.test/near', ca);
    const { port, refused } = await greeter(web, authorizeId('spiffe://a.test/near'));
    const credentials = grpcCredentials(grpc, near, toWeb);
    const client = clientOf(port, credentials);
    expect(await greet(client)).toBe('hello spiffe://a.test/near');
    web.rotate();
    near.rotate();
    expect(await greet(client)).toBe('hello spiffe://a.test/near');
    expect(await greet(clientOf(port, credentials))).toBe('hello spiffe://a.test/near');
    expect(refused).toEqual([]);
  });

  it('keeps streams open through a rotation', async () => {
    const web = testSource('spiffe://a.test/web', ca);
    const near = testSource('spiffe://a.test/near', ca);
    const { port, streams } = await greeter(web, authorizeAny);
    const client = clientOf(port, grpcCredentials(grpc, near, toWeb));
    const { path, requestSerialize, responseDeserialize } = service.greetForEver;
    const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, 'hi');
    stream.on('error', () => undefined);
    const messages: AsyncIterator<string> = stream[Symbol.asyncIterator]();
    expect((await messages.next()).value).toBe('hello spiffe://a.test/near');
    web.rotate();
    near.rotate();
    streams[0]?.write('still here');
    expect((await messages.next()).value).toBe('still here');
    stream.cancel();
  });

  it('speaks to no wrong server, and serves no wrong client', async () => {
    const web = testSource('spiffe://a.test/web', ca);
    const near = testSource('spiffe://a.test/near', ca);
    const { port, refused } = await greeter(web, authorizeId('spiffe://a.test/near'));
    const bank = grpcCredentials(grpc, near, { authorize: authorizeId('spiffe://a.test/bank') });
    await expect(greet(clientOf(port, bank))).rejects.toMatchObject({
      code: grpc.status.UNAVAILABLE,
      details: expect.stringContaining('peer spiffe://a.test/web is not authorized'),
    });
    const stranger = grpcCredentials(grpc, testSource('spiffe://a.test/stranger', ca), toWeb);
    await expect(greet(clientOf(port, stranger))).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
    expect(refused).toContain('peer spiffe://a.test/stranger is not authorized');
  });

  it('takes no caller for verified who came by another port', async () => {
    const { openPort } = await greeter(testSource('spiffe://a.test/web', ca), authorizeAny);
    await expect(greet(clientOf(openPort, grpc.credentials.createInsecure()))).rejects.toMatchObject({
      code: grpc.status.UNAUTHENTICATED,
      details: expect.stringContaining('the caller was not verified'),
    });
  });

  it('gives different peers different connections', () => {
    const near = testSource('spiffe://a.test/near', ca);
    const [one, other] = [grpcCredentials(grpc, near, toWeb), grpcCredentials(grpc, near, toWeb)];
    expect(one._equals(one)).toBe(true);
    expect(one._equals(other)).toBe(false);
  });
});
