import { setMaxListeners } from 'node:events';
import type { SecureContext } from 'node:tls';
import {
  ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { FinialError, toFinialError } from '../errors.ts';
import { type InputOf, type LoadedMethod, methodOf, type OutputOf, type ServiceRef } from './service.ts';
import { fromGrpcStatus } from './status.ts';
import { orAbort, readMessages } from './stream.ts';

/** What bounds a call and what goes along with it. */
export interface CallOptions {
  /** Cancels the call when it aborts; the call then fails with `cancelled`. */
  readonly signal?: AbortSignal | undefined;
  /** The call fails with `deadline-exceeded` after this time. Without it a call waits as long as it takes. */
  readonly timeoutMs?: number | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/**
 * A connection to one server, made on first use and again after a loss. Calls are never repeated by themselves; while
 * there is no connection they fail with `unavailable`. All failures are FinialErrors.
 */
export interface RpcChannel {
  call<D, M extends keyof D & string>(
    service: ServiceRef<D>,
    method: M,
    request: InputOf<D[M]>,
    options?: CallOptions,
  ): Promise<OutputOf<D[M]>>;
  /** Starts with the first message drawn; leaving the loop cancels the call. */
  serverStream<D, M extends keyof D & string>(
    service: ServiceRef<D>,
    method: M,
    request: InputOf<D[M]>,
    options?: CallOptions,
  ): AsyncIterable<OutputOf<D[M]>>;
  bidi<D, M extends keyof D & string>(
    service: ServiceRef<D>,
    method: M,
    options?: CallOptions,
  ): BidiCall<InputOf<D[M]>, OutputOf<D[M]>>;
  /** Lets open calls finish and takes no more. */
  close(): void;
}

/** Both directions of one call. */
export interface BidiCall<Request, Response> {
  /** Resolves when the connection took the message; rejects with the call's failure once it has ended. */
  send(request: Request): Promise<void>;
  /** Says that no more requests come. */
  end(): void;
  /** Ends with the call; to be read once. Leaving the loop cancels the call. */
  readonly responses: AsyncIterable<Response>;
  cancel(): void;
}

/** How much of a server is put up with. */
export interface ChannelLimits {
  /** Size of one response, after decompression; 4 MiB unless told. */
  readonly maxReceiveBytes?: number | undefined;
  /**
   * The longest that a lost connection waits before it may be made again, milliseconds; until then calls fail at once.
   * Two minutes unless told: too long for callers that wait between attempts themselves.
   */
  readonly maxReconnectMs?: number | undefined;
}

const DEFAULT_RECEIVE_BYTES = 4 * 1024 * 1024;

/** A channel to the server that listens on the Unix socket at `socketPath`. */
export function connectUnix(socketPath: string, limits: ChannelLimits = {}): RpcChannel {
  return channel(new Client(`unix:${socketPath}`, credentials.createInsecure(), channelOptions(limits)));
}

/** A channel, without TLS, to the server at an IP address. For endpoints that the network alone protects. */
export function connectTcp(host: string, port: number, limits: ChannelLimits = {}): RpcChannel {
  const target = host.includes(':') ? `ipv6:[${host}]:${port}` : `ipv4:${host}:${port}`;
  return channel(new Client(target, credentials.createInsecure(), channelOptions(limits)));
}

/** A server behind TLS, and how it proves who it is. */
export interface TlsTarget extends ChannelLimits {
  /** host:port; an IPv6 address stands in brackets. */
  readonly address: string;
  /** Roots that the server's chain must lead to and, if any, the client's own certificate. */
  readonly secureContext: SecureContext;
  /**
   * Judges the server's certificate once its chain was verified to the roots; the error it returns breaks the connection
   * off and is part of the message of the failed call.
   */
  readonly verifyServer: (leafDer: Buffer) => Error | undefined;
}

/** The name we say to servers: their certificates are judged by SPIFFE ID, and an IP address is no valid TLS name. */
const SERVER_NAME = 'spire-server';

/**
 * A channel over TLS. Names in the server's certificate are not looked at, only what `verifyServer` says of it. For a new
 * client certificate or new roots, make a new channel.
 */
export function connectTls(target: TlsTarget): RpcChannel {
  const secure = ChannelCredentials.createFromSecureContext(target.secureContext, {
    // Runs after the chain was verified, on every handshake: sessions are not resumed, as no session is ever passed in.
    checkServerIdentity: (_host, certificate) => target.verifyServer(certificate.raw),
  });
  const options = {
    ...channelOptions(target),
    'grpc.ssl_target_name_override': SERVER_NAME,
    'grpc.default_authority': SERVER_NAME,
  };
  return channel(new Client(`dns:${target.address}`, secure, options));
}

function channelOptions(limits: ChannelLimits): ChannelOptions {
  return {
    'grpc.enable_channelz': 0,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    // Otherwise channels to one address share connections, and closing one leaves its connection open.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': limits.maxReceiveBytes ?? DEFAULT_RECEIVE_BYTES,
    ...reconnectOptions(limits.maxReconnectMs),
  };
}

function reconnectOptions(maxMs: number | undefined): ChannelOptions {
  if (maxMs === undefined) return {};
  return { 'grpc.initial_reconnect_backoff_ms': maxMs, 'grpc.max_reconnect_backoff_ms': maxMs };
}

function channel(client: Client): RpcChannel {
  return {
    call: (service, method, request, options = {}) => callUnary(client, methodOf(service, method), request, options),
    serverStream: (service, method, request, options = {}) =>
      callServerStream(client, methodOf(service, method), request, options),
    bidi: (service, method, options = {}) => callBidi(client, methodOf(service, method), options),
    close: () => client.close(),
  };
}

/** The typed methods above guarantee the casts below: a definition and its generated types come from one .proto file. */
function callUnary<Out>(client: Client, method: LoadedMethod, request: unknown, options: CallOptions): Promise<Out> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(cancelledBefore(signal));
      return;
    }
    const { path, requestSerialize, responseDeserialize } = method;
    const cancel = (): void => call.cancel();
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request as object,
      metadataOf(options),
      deadlineOf(options),
      (error, response) => {
        signal?.removeEventListener('abort', cancel);
        if (error === null) resolve(response as Out);
        else reject(callError(error));
      },
    );
    signal?.addEventListener('abort', cancel, { once: true });
  });
}

async function* callServerStream<Out>(
  client: Client,
  method: LoadedMethod,
  request: unknown,
  options: CallOptions,
): AsyncGenerator<Out, void, undefined> {
  if (options.signal?.aborted) throw cancelledBefore(options.signal);
  const { path, requestSerialize, responseDeserialize } = method;
  const stream = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request as object,
    metadataOf(options),
    deadlineOf(options),
  );
  yield* responsesOf<Out>(stream, options.signal);
}

/** The responses of a started call, which is cancelled when `signal` aborts or the reader leaves. */
async function* responsesOf<Out>(
  stream: ClientReadableStream<object> | ClientDuplexStream<object, object>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Out, void, undefined> {
  // The status of a call nobody reads any more is still emitted, as an error.
  stream.on('error', () => undefined);
  const cancel = (): void => stream.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    yield* readMessages<Out>(stream, never);
  } catch (error) {
    throw callError(error);
  } finally {
    signal?.removeEventListener('abort', cancel);
    stream.cancel();
  }
}

/** Cancelling ends the call, which ends its stream; no other way out is needed. */
const never = new AbortController().signal;
// As many streams as there are open listen to it, each until it ends.
setMaxListeners(0, never);

function callBidi<In, Out>(client: Client, method: LoadedMethod, options: CallOptions): BidiCall<In, Out> {
  const { path, requestSerialize, responseDeserialize } = method;
  const stream = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    metadataOf(options),
    deadlineOf(options),
  );
  const over = new AbortController();
  stream.on('error', (error: Error) => over.abort(callError(error)));
  stream.on('status', () => over.abort(new FinialError('unavailable', 'the call has ended')));
  const { signal } = options;
  const cancel = (): void => stream.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  over.signal.addEventListener('abort', () => signal?.removeEventListener('abort', cancel), { once: true });
  if (signal?.aborted) cancel();
  return {
    send(request) {
      const written = new Promise<void>((resolve, reject) => {
        stream.write(request as object, (error: Error | null | undefined) => (error ? reject(error) : resolve()));
      });
      return orAbort(written, over.signal).catch((error: unknown) => Promise.reject(callError(error)));
    },
    end: () => void stream.end(),
    responses: responsesOf<Out>(stream, undefined),
    cancel,
  };
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  return metadata;
}

function deadlineOf(options: CallOptions): { deadline?: number } {
  return options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}

function cancelledBefore(signal: AbortSignal): FinialError {
  return new FinialError('cancelled', 'cancelled', { cause: signal.reason });
}

function callError(thrown: unknown): FinialError {
  return isServiceError(thrown) ? fromGrpcStatus(thrown) : toFinialError(thrown);
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number' && 'details' in thrown;
}
