import { once } from 'node:events';
import { connect, createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import net from 'node:net';

// gRPC written out over node:http2: shows what is on the wire to whoever does not use the gRPC library.

/** How a call ended. */
export interface RawAnswer {
  /** The gRPC status as a number; undefined when the stream was left after its first message. */
  readonly status: number | undefined;
  readonly message: string;
  /** The first message, without its frame. */
  readonly first: Buffer | undefined;
}

/**
 * Calls over plaintext HTTP/2, until the first message or the end.
 *
 * @param request the encoded message
 */
export async function rawCall(
  socketPath: string,
  method: string,
  headers: OutgoingHttpHeaders,
  request: Buffer,
): Promise<RawAnswer> {
  const session = connect('http://anything.invalid', { createConnection: () => net.connect(socketPath) });
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': method,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    stream.end(framed(request));
    let ending: IncomingHttpHeaders = {};
    stream.on('response', (received) => (ending = { ...ending, ...received }));
    stream.on('trailers', (received) => (ending = { ...ending, ...received }));
    let bytes = Buffer.of();
    for await (const part of stream) {
      bytes = Buffer.concat([bytes, part as Buffer]);
      if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) break;
    }
    const status = ending['grpc-status'];
    return {
      status: status === undefined ? undefined : Number(status),
      message: decodeURIComponent(String(ending['grpc-message'] ?? '')),
      first: bytes.length === 0 ? undefined : bytes.subarray(5, 5 + bytes.readUInt32BE(1)),
    };
  } finally {
    session.destroy();
  }
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A server that answers every call with a status alone, whatever is called. */
export interface RawServer extends AsyncDisposable {
  readonly calls: readonly { readonly path: string; readonly headers: IncomingHttpHeaders }[];
}

/** @param statusOf the gRPC status of the n-th call, from 1 */
export async function rawServer(socketPath: string, statusOf: (call: number) => number): Promise<RawServer> {
  const calls: { path: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer();
  server.on('stream', (stream, headers) => {
    calls.push({ path: headers[':path'] ?? '', headers });
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(statusOf(calls.length)) },
      { endStream: true },
    );
    stream.resume();
  });
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    calls,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
