import { FinialError, toFinialError } from '../common/errors.ts';
import { type Subject, subject } from '../common/observable.ts';
import type { WorkloadApi, X509Context, X509Svid } from './workload-api.ts';

/** The identity of this process, kept current: read it whenever it is needed, never store it. */
export interface X509Source {
  /** @throws FinialError when there is none any more, or the last one has expired */
  readonly current: X509Context;
  /** The identity to present. @throws as `current` */
  readonly svid: X509Svid;
  /** Calls back after each update until the returned function is called. */
  onUpdate(listener: (context: X509Context) => void): () => void;
  close(): void;
}

/** Which identity a source presents, and who hears of trouble. */
export interface X509SourceOptions {
  /** Which identity to present when there are several; the default one unless said otherwise. */
  readonly pick?: (context: X509Context) => X509Svid;
  /** Gives up waiting for the first update. */
  readonly signal?: AbortSignal;
  /** Hears why the stream of updates was interrupted; the last update stays in force until it expires. */
  readonly onInterruption?: (error: FinialError) => void;
  readonly now?: () => number;
}

/** Resolves once the first update has come. @throws FinialError when `signal` aborts first, or the agent refuses for good */
export async function createX509Source(api: WorkloadApi, options: X509SourceOptions = {}): Promise<X509Source> {
  const { pick = ({ svids }: X509Context) => svids[0], now = Date.now } = options;
  const stop = new AbortController();
  const state: { updates?: Subject<X509Context>; ended?: FinialError } = {};
  await new Promise<void>((resolve, reject) => {
    const giveUp = (): void => {
      stop.abort();
      reject(new FinialError('deadline-exceeded', 'no identity was received in time'));
    };
    if (options.signal?.aborted) giveUp();
    options.signal?.addEventListener('abort', giveUp, { once: true });
    const follow = async (): Promise<void> => {
      for await (const context of api.watchX509(stop.signal, options.onInterruption)) {
        if (state.updates === undefined) {
          state.updates = subject(context);
          options.signal?.removeEventListener('abort', giveUp);
          resolve();
        } else state.updates.publish(context);
      }
    };
    follow().catch((error: unknown) => {
      state.ended = toFinialError(error);
      reject(state.ended);
    });
  });

  const current = (): X509Context => {
    if (state.ended !== undefined) throw state.ended;
    if (state.updates === undefined || stop.signal.aborted)
      throw new FinialError('unavailable', 'the source is closed');
    return state.updates.current;
  };
  return {
    get current() {
      return current();
    },
    get svid() {
      const svid = pick(current());
      if (svid.notAfter <= now()) throw new FinialError('unavailable', `the X509-SVID of ${svid.id} has expired`);
      return svid;
    },
    onUpdate: (listener) => state.updates?.subscribe(listener) ?? (() => undefined),
    close: () => stop.abort(),
  };
}
