import type { Latencies } from '../histogram.ts';

// What the bench and its load threads tell each other: plain data, since it crosses between threads.

/** Where a load thread connects: a Unix socket, or a TLS port, as an agent when there are a key and a certificate (PEM). */
export type Peer =
  | { readonly socketPath: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly ca: string;
      readonly key?: string;
      readonly cert?: string;
    };

/** What a load thread does. */
export interface LoadPlan {
  /** One for all connections, or one for each. */
  readonly peers: readonly Peer[];
  readonly connections: number;
  /** Calls open at a time on each connection. */
  readonly concurrency: number;
  /** Calls begun in a second by all connections together, instead of each as soon as one has ended. */
  readonly perSecond?: number;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Encoded messages. Each connection begins at its own and takes them in turn. */
  readonly requests: readonly Uint8Array[];
  /** The requests are whole bodies, with the lengths of their messages in them: for streams of several messages. */
  readonly bodies?: boolean;
  /** Each request is sent once, and the load ends when there are no more. */
  readonly once?: boolean;
  /** An operation ends with the first message, whereupon the call is cancelled. */
  readonly firstMessage?: boolean;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** One answer in so many is kept, to be verified. */
  readonly sampleEvery: number;
}

/** One answer, and which request it answers. */
export interface Sample {
  readonly request: number;
  readonly answer: Uint8Array;
}

/** What came of it, the warm-up left out. */
export interface LoadResult {
  readonly ops: number;
  readonly seconds: number;
  readonly latencies: Latencies;
  /** How often each failure came up, by `status: message`. */
  readonly failures: Readonly<Record<string, number>>;
  readonly samples: readonly Sample[];
  /** How often a connection had to be made anew, because the server said good-bye on it. */
  readonly reconnects: number;
  /** Share of the time that the thread was on a processor. */
  readonly busy: number;
  /** Share of the time that it waited for one. With `busy` near 1, the load and not the server may have been the limit. */
  readonly starved: number;
  /** At a fixed rate: how long after its moment a call began, 99th percentile. It is no part of the latencies. */
  readonly lateMs?: number;
  /** Milliseconds of `performance.timeOrigin + now()` between which operations were counted. */
  readonly from: number;
  readonly to: number;
}
