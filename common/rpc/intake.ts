import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { type ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

/** How much a server takes in before a call is one that it can answer. */
export interface IntakeLimits {
  /** Bytes of unfinished messages on one connection. */
  readonly connectionBytes: number;
  /** Bytes of unfinished messages on all connections together. */
  readonly totalBytes: number;
  /** How long a message may be on its way, from the start of the call or of the message, milliseconds. */
  readonly messageMs: number;
  /** Open calls of all connections together; beyond it only connections with few calls get another. */
  readonly openCalls: number;
}

/** Open calls that a connection may have however many others there are. */
const FEW_CALLS = 4;

/** How a call ends that is not taken in. */
type Refusal = typeof TOO_MUCH | typeof TOO_MANY_CALLS | typeof TOO_LATE;

const TOO_MUCH = { code: status.RESOURCE_EXHAUSTED, details: 'too many unfinished requests' } as const;
const TOO_MANY_CALLS = { code: status.RESOURCE_EXHAUSTED, details: 'too many calls are open' } as const;
const TOO_LATE = { code: status.DEADLINE_EXCEEDED, details: 'the request was not received in time' } as const;

/** A connection and what it makes the server hold. */
interface Client {
  readonly receiving: Set<Receiving>;
  bytes: number;
  calls: number;
}

/** A call with a message that has not come to its end. */
interface Receiving {
  readonly client: Client;
  bytes: number;
  /** Milliseconds of `performance.now()`. */
  since: number;
  refuse(refusal: Refusal): void;
}

/**
 * Bounds what clients leave unfinished. The library bounds one message; but it gathers as many of them as there are open
 * streams, for as long as the client likes: 300 calls that send all but the end of 4 MiB held 1.3 GB (measured). Where all
 * connections together hold too much, the one that holds most is refused, so that others go on.
 *
 * Refused calls end with `resource-exhausted`, and with `deadline-exceeded` when their message takes too long. A stream
 * that was answered before its request ended is closed, as RFC 9113 8.1 provides for and the reference does.
 */
export function boundIntake(limits: IntakeLimits): ServerInterceptor {
  const clients = new WeakMap<ServerHttp2Session, Client>();
  const { wait, hold, leave, refuse } = unfinishedMessages(limits);
  let open = 0;
  const clientOf = (session: ServerHttp2Session): Client => {
    const known = clients.get(session);
    if (known !== undefined) return known;
    const client: Client = { receiving: new Set(), bytes: 0, calls: 0 };
    clients.set(session, client);
    return client;
  };
  return (_method, call) => {
    const stream = streamOf(call);
    const { session } = stream;
    // A stream that was reset together with its headers has no session any more, and never gets to its handler.
    if (session === undefined || stream.destroyed) return call as ServerInterceptingCall;
    const client = clientOf(session as ServerHttp2Session);
    const receiving: Receiving = { client, bytes: 0, since: 0, refuse: (refusal) => call.sendStatus(refusal) };
    let meter: ReturnType<typeof messageMeter> | undefined;
    open += 1;
    client.calls += 1;
    wait(receiving);
    stream.on('data', (chunk: Buffer) => {
      // Most requests come in one piece.
      if (meter === undefined && isOneMessage(chunk)) return leave(receiving);
      if (stream.writableEnded) return;
      meter ??= messageMeter();
      const { bytes, ended } = meter(chunk);
      if (bytes === 0) return leave(receiving);
      if (ended || receiving.bytes === 0) wait(receiving);
      hold(receiving, bytes);
    });
    stream.on('wantTrailers', () => closeLater(stream));
    stream.on('finish', () => {
      // Otherwise trailers are still to come.
      if (stream.sentHeaders?.['grpc-status'] !== undefined) closeLater(stream);
    });
    stream.on('close', () => {
      leave(receiving);
      open -= 1;
      client.calls -= 1;
    });
    if (open > limits.openCalls && client.calls > FEW_CALLS) {
      process.nextTick(refuse, receiving, TOO_MANY_CALLS);
    }
    // The library's types want a call of its own; it takes whatever has the methods of one, as the call it gave us.
    return call as ServerInterceptingCall;
  };
}

/** The account of what is unfinished, which refuses what is too much and what takes too long. */
function unfinishedMessages(limits: IntakeLimits) {
  /** Those of whom bytes are held. */
  const holders = new Set<Client>();
  /** Oldest first. */
  const waiting = new Set<Receiving>();
  let total = 0;
  let timer: NodeJS.Timeout | undefined;

  const count = (receiving: Receiving, bytes: number): void => {
    const { client } = receiving;
    client.bytes += bytes - receiving.bytes;
    total += bytes - receiving.bytes;
    receiving.bytes = bytes;
    if (bytes > 0) {
      client.receiving.add(receiving);
      holders.add(client);
    } else {
      client.receiving.delete(receiving);
      if (client.receiving.size === 0) holders.delete(client);
    }
  };
  const leave = (receiving: Receiving): void => {
    waiting.delete(receiving);
    if (receiving.bytes > 0) count(receiving, 0);
  };
  const refuse = (receiving: Receiving, refusal: Refusal): void => {
    leave(receiving);
    receiving.refuse(refusal);
  };
  const hold = (receiving: Receiving, bytes: number): void => {
    count(receiving, bytes);
    if (receiving.client.bytes > limits.connectionBytes) refuse(receiving, TOO_MUCH);
    while (total > limits.totalBytes) {
      const largest = [...holders].reduce((a, b) => (b.bytes > a.bytes ? b : a));
      for (const one of largest.receiving) refuse(one, TOO_MUCH);
    }
  };
  const expire = (): void => {
    timer = undefined;
    for (const receiving of waiting) {
      const left = receiving.since + limits.messageMs - performance.now();
      if (left > 0) {
        timer = setTimeout(expire, left).unref();
        return;
      }
      refuse(receiving, TOO_LATE);
    }
  };
  const wait = (receiving: Receiving): void => {
    // Taken out and put in anew, it is the youngest.
    waiting.delete(receiving);
    receiving.since = performance.now();
    waiting.add(receiving);
    timer ??= setTimeout(expire, limits.messageMs).unref();
  };
  return { wait, hold, leave, refuse };
}

/** The library keeps the HTTP/2 stream of a call to itself. Held to by the tests of this file. */
function streamOf(call: object): ServerHttp2Stream {
  return Reflect.get(call, 'stream') as ServerHttp2Stream;
}

/** A client that heard how its call ended closes the stream by itself; it has this long for that, milliseconds. */
const CLOSE_MS = 100;

function closeLater(stream: ServerHttp2Stream): void {
  if (!stream.readableEnded) setTimeout(closeUnread, CLOSE_MS, stream).unref();
}

function closeUnread(stream: ServerHttp2Stream): void {
  if (!stream.closed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
}

const HEAD_BYTES = 5;

function isOneMessage(chunk: Buffer): boolean {
  return chunk.length >= HEAD_BYTES && chunk.readUInt32BE(1) === chunk.length - HEAD_BYTES;
}

/** Follows gRPC messages through the chunks they come in: how much of an unfinished one there is, and if one ended. */
export function messageMeter(): (chunk: Buffer) => { readonly bytes: number; readonly ended: boolean } {
  const head = Buffer.alloc(HEAD_BYTES);
  let bytes = 0;
  let length = 0;
  return (chunk) => {
    let ended = false;
    let at = 0;
    while (at < chunk.length) {
      if (bytes < HEAD_BYTES) {
        const copied = chunk.copy(head, bytes, at);
        bytes += copied;
        at += copied;
        if (bytes < HEAD_BYTES) break;
        length = head.readUInt32BE(1);
      }
      const taken = Math.min(HEAD_BYTES + length - bytes, chunk.length - at);
      bytes += taken;
      at += taken;
      if (bytes === HEAD_BYTES + length) {
        bytes = 0;
        ended = true;
      }
    }
    return { bytes, ended };
  };
}
