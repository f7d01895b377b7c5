import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { dial, type Target } from './raw-http2.ts';

/**
 * HTTP/2 by Node's own library, which keeps to flow control; calls are written out by hand.
 *
 * @param localAddress where a TCP connection comes from
 */
export function openSession(
  target: Target,
  settings: { readonly initialWindowSize?: number } = {},
  localAddress?: string,
): ClientHttp2Session {
  const session = connect('http://localhost', {
    settings,
    // In MB; by default a client gives up its own calls when 10 MB wait to be sent.
    maxSessionMemory: 4096,
    createConnection: () => dial(target, localAddress === undefined ? {} : { localAddress }),
  });
  // How it ended is seen at its streams.
  session.on('error', () => undefined);
  return session;
}

/** Begins a call; nothing but its headers is sent. */
export function startCall(
  session: ClientHttp2Session,
  path: string,
  more: OutgoingHttpHeaders = {},
): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'workload.spiffe.io': 'true',
    ...more,
  });
  stream.on('error', () => undefined);
  return stream;
}

/** The five bytes before a gRPC message. */
export function messageHead(length: number, compressed: number = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(length, 1);
  return head;
}

/** How a call ended: the gRPC status, or the HTTP status where there is none, or how the stream was reset. */
export function ending(stream: ClientHttp2Stream): Promise<string> {
  let told: string | undefined;
  const note = (headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void => {
    const [status, httpStatus] = [headers['grpc-status'], headers[':status']];
    if (typeof status === 'string') told = `grpc ${status}`;
    else if (httpStatus !== undefined && httpStatus !== 200) told = `http ${httpStatus}`;
  };
  stream.on('response', note);
  stream.on('trailers', note);
  stream.resume();
  return new Promise((resolve) => {
    const over = (): void => resolve(told ?? `reset ${stream.rstCode}`);
    // A server may answer while the request is still open; the stream then closes only with the request.
    stream.once('end', () => setImmediate(over));
    stream.once('close', over);
    if (stream.closed) over();
  });
}
