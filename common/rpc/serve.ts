import type { EventEmitter } from 'node:events';
import type {
  Metadata,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedHandleCall,
  sendUnaryData,
} from '@grpc/grpc-js';
import { FinialError, messageOf } from '../errors.ts';
import type { Logger } from '../log/logger.ts';
import type { Call, CallOutcome, Interceptor, Peer } from './call.ts';
import type { ImplementedMethod, LoadedMethod } from './service.ts';
import { reportedError, toGrpcStatus } from './status.ts';
import { readMessages, throwIfAborted, waiter } from './stream.ts';

/** A call in progress, as a stopping server sees it. */
export interface LiveCall {
  readonly streaming: boolean;
  abort(reason: FinialError): void;
}

/** What all calls of one server share. */
export interface CallEnvironment {
  readonly peers: ReadonlyMap<string, Peer>;
  readonly live: Set<LiveCall>;
  readonly interceptors: readonly Interceptor[];
  readonly log: Logger;
}

/** The part of the library's call objects that all shapes share. */
interface GrpcCall extends EventEmitter {
  readonly metadata: Metadata;
  getPeer(): string;
  getPath(): string;
  getHost(): string;
  getDeadline(): Date | number;
}

/** Everything about one call that `conduct` needs beyond its environment. */
interface Conducted {
  readonly grpc: GrpcCall;
  readonly streaming: boolean;
  /** The first request; undefined where requests are a stream. */
  readonly request: unknown;
  /** Answers the call. */
  work(call: Call): Promise<void>;
  /** Ends the call with a failure. */
  refuse(error: FinialError): void;
}

/** The handler of ours, in the form the library calls. */
export function grpcHandler(method: ImplementedMethod, environment: CallEnvironment): UntypedHandleCall {
  const { definition, handler } = method;
  switch (handler?.kind) {
    case undefined:
      return unimplemented(method);
    case 'unary':
      return (grpc: ServerUnaryCall<unknown, Buffer>, answer: sendUnaryData<Buffer>) =>
        void conduct(environment, {
          grpc,
          streaming: false,
          request: grpc.request,
          async work(call) {
            const response = await handler.unary(grpc.request, call);
            throwIfAborted(call.signal);
            answer(null, encode(definition, response));
          },
          refuse: (error) => answer(toGrpcStatus(error)),
        });
    case 'server-stream':
      return (grpc: ServerWritableStream<unknown, Buffer>) =>
        void conduct(environment, {
          grpc,
          streaming: true,
          request: grpc.request,
          work: (call) => pump(handler.serverStream(grpc.request, call), definition, grpc, call, environment.log),
          refuse: (error) => void grpc.emit('error', toGrpcStatus(error)),
        });
    case 'bidi':
      return (grpc: ServerDuplexStream<unknown, Buffer>) =>
        void conduct(environment, {
          grpc,
          streaming: true,
          request: undefined,
          work(call) {
            const responses = handler.bidi(requestsOf(grpc, call.signal), call);
            return pump(responses, definition, grpc, call, environment.log);
          },
          refuse: (error) => void grpc.emit('error', toGrpcStatus(error)),
        });
  }
}

/**
 * The requests of a call. A cancelled call at first looks like one whose requests have ended; the cancellation is
 * reported later in the same turn of the event loop, so the end is believed only after that.
 */
async function* requestsOf(grpc: ServerDuplexStream<unknown, Buffer>, signal: AbortSignal): AsyncGenerator {
  yield* readMessages(grpc, signal);
  await new Promise((resolve) => setImmediate(resolve));
  throwIfAborted(signal);
}

function unimplemented(method: ImplementedMethod): UntypedHandleCall {
  const status = toGrpcStatus(new FinialError('unimplemented', `method ${method.name} not implemented`));
  return method.definition.responseStream
    ? (grpc: EventEmitter) => void grpc.emit('error', status)
    : (_grpc: unknown, answer: sendUnaryData<Buffer>) => answer(status);
}

/** Takes one call through interceptors, handler and answer to its end. Never rejects. */
async function conduct(environment: CallEnvironment, conducted: Conducted): Promise<void> {
  const { grpc } = conducted;
  const peer = environment.peers.get(grpc.getPeer());
  if (peer === undefined) {
    conducted.refuse(new FinialError('unavailable', 'the connection is closed'));
    return;
  }
  const controller = new AbortController();
  const call = describe(grpc, peer, controller.signal);
  const live: LiveCall = { streaming: conducted.streaming, abort: (reason) => controller.abort(reason) };
  let gone = false;
  const cancelled = (): void => {
    gone = true;
    controller.abort(endedByCaller(grpc));
  };
  grpc.once('cancelled', cancelled);
  environment.live.add(live);
  const endings: ((outcome: CallOutcome) => void)[] = [];
  let outcome: CallOutcome = {};
  try {
    for (const interceptor of environment.interceptors) {
      const ending = await interceptor(call, conducted.request);
      if (ending !== undefined) endings.unshift(ending);
    }
    throwIfAborted(call.signal);
    await conducted.work(call);
  } catch (thrown) {
    const cause: unknown = call.signal.aborted ? call.signal.reason : thrown;
    const error = reportedError(cause, call.method, environment.log);
    outcome = { error };
    if (!gone) conducted.refuse(error);
  } finally {
    environment.live.delete(live);
    // The library also reports "cancelled" after a call that ended well.
    grpc.off('cancelled', cancelled);
  }
  for (const ending of endings) settle(ending, outcome, call, environment.log);
}

function settle(ending: (outcome: CallOutcome) => void, outcome: CallOutcome, call: Call, log: Logger): void {
  try {
    ending(outcome);
  } catch (error) {
    log.error('Unexpected error after call', { method: call.method, error: messageOf(error) });
  }
}

function describe(grpc: GrpcCall, peer: Peer, signal: AbortSignal): Call {
  const metadata = new Map<string, readonly string[]>();
  for (const key of Object.keys(grpc.metadata.getMap())) {
    const values = grpc.metadata.get(key).filter((value) => typeof value === 'string');
    if (values.length > 0) metadata.set(key, values);
  }
  return { method: grpc.getPath(), signal, metadata, authority: grpc.getHost(), peer };
}

/** Made once: nobody asks where a caller hung up, and to take a stack for each took 3 % of a stream (measured). */
const CANCELLED = new FinialError('cancelled', 'cancelled');
const TOO_LATE = new FinialError('deadline-exceeded', 'deadline exceeded');

function endedByCaller(grpc: GrpcCall): FinialError {
  return Number(grpc.getDeadline()) <= Date.now() ? TOO_LATE : CANCELLED;
}

function encode(definition: LoadedMethod, response: unknown): Buffer {
  return Buffer.isBuffer(response) ? response : definition.responseSerialize(response as object);
}

/** Sends what a handler yields, drawing the next message when the one before was taken by the connection. */
async function pump(
  responses: AsyncIterable<unknown>,
  definition: LoadedMethod,
  grpc: ServerWritableStream<unknown, Buffer> | ServerDuplexStream<unknown, Buffer>,
  call: Call,
  log: Logger,
): Promise<void> {
  const iterator = responses[Symbol.asyncIterator]();
  const wait = waiter(call.signal);
  let finished = false;
  try {
    for (;;) {
      const next = await wait(iterator.next());
      throwIfAborted(call.signal);
      if (next.done === true) {
        finished = true;
        break;
      }
      const bytes = encode(definition, next.value);
      await wait(written(grpc, bytes));
    }
    grpc.end();
  } finally {
    // Not awaited: a handler that is waiting for something else gets to its `finally` only when that comes.
    if (!finished) iterator.return?.().catch((error: unknown) => reportedError(error, call.method, log));
  }
}

function written(
  grpc: ServerWritableStream<unknown, Buffer> | ServerDuplexStream<unknown, Buffer>,
  bytes: Buffer,
): Promise<void> {
  return new Promise((resolve, reject) => {
    grpc.write(bytes, (error: Error | null | undefined) => (error ? reject(error) : resolve()));
  });
}
