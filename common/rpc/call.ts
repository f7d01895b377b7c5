import type { FinialError } from '../errors.ts';
import type { PeerProcess } from '../net/peer-process.ts';
import type { SpiffeId } from '../../spiffe/id.ts';

/** Who is at the other end of a connection, established at accept and never from what the peer says. */
export type Peer =
  | {
      readonly transport: 'unix';
      /** Kernel credentials; absent on sockets that do not track their callers. */
      readonly process: PeerProcess | undefined;
    }
  | {
      readonly transport: 'tcp';
      /** Without a port; IPv4-mapped IPv6 addresses in their IPv4 form. */
      readonly address: string;
      readonly port: number;
      /** The verified client certificate, when one was presented; an unverifiable one never gets this far. */
      readonly certificate: PeerCertificate | undefined;
    };

/** A client certificate chain that was verified against the bundle of its own trust domain. */
export interface PeerCertificate {
  readonly id: SpiffeId;
  /** DER, leaf first, as presented. */
  readonly chain: readonly Buffer[];
  /** Decimal serial number of the leaf. */
  readonly serialNumber: string;
  /** Unix milliseconds at which the leaf expires. */
  readonly notAfter: number;
}

/** One call in progress, as handlers and interceptors see it. */
export interface Call {
  /** Full name, such as `/spire.api.server.svid.v1.SVID/NewJWTSVID`. */
  readonly method: string;
  /** Aborts when the caller cancels, disconnects or its deadline passes, and when the server stops. */
  readonly signal: AbortSignal;
  /** Lower-case keys; text values only. */
  readonly metadata: ReadonlyMap<string, readonly string[]>;
  /** The `:authority` the client named, which it may have made up. */
  readonly authority: string;
  readonly peer: Peer;
}

/** Answers one request. A Buffer is an already encoded response and is sent as it is. */
export type UnaryHandler<Request, Response> = (request: Request, call: Call) => Promise<Response | Buffer>;

/** Answers one request with a stream; the next message is drawn only when the previous one was taken by the socket. */
export type ServerStreamHandler<Request, Response> = (request: Request, call: Call) => AsyncIterable<Response | Buffer>;

/** Answers a stream with a stream. */
export type BidiHandler<Request, Response> = (
  requests: AsyncIterable<Request>,
  call: Call,
) => AsyncIterable<Response | Buffer>;

/**
 * Runs before the handler of each call, in the order given to the server; throwing refuses the call. The function it may
 * resolve to runs when the call has ended, in reverse order.
 */
export type Interceptor = (call: Call, request: unknown) => Promise<undefined | ((outcome: CallOutcome) => void)>;

/** How a call ended; `error` is absent on success. */
export interface CallOutcome {
  readonly error?: FinialError;
}
