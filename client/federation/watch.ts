import { type Clock, systemClock } from '../../common/clock.ts';
import { FinialError, toFinialError } from '../../common/errors.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import type { ReadBundle } from '../../spiffe/bundle/json.ts';
import { type PollLimits, pollInterval, refreshBundle } from '../../spiffe/bundle/refresh.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { listeners } from '../held-source.ts';
import type { JwtBundleProvider, Source, X509BundleProvider } from '../source.ts';
import { type BundleEndpoint, type CheckedEndpoint, checkEndpoint, isSelfServing } from './endpoint.ts';
import { fetchChecked, type FetchBundleOptions } from './fetch.ts';

/** How a bundle is kept current. */
export interface WatchBundleOptions extends FetchBundleOptions {
  /**
   * The bundle that an earlier process fetched last. It is in force at once, and nothing older replaces it. Of an
   * endpoint that serves its own bundle it takes the place of the bootstrap bundle, which may long be outdated.
   */
  readonly initial?: Bundle;
  /** Bounds of the time between two fetches, seconds; a minute and a day when absent. */
  readonly interval?: PollLimits;
  /** Hears, from the first moment on, what `onError` listeners hear. */
  readonly onError?: (error: FinialError) => void;
  /** Gives up the first fetch of a watch without an `initial` bundle. To end the watch close it. */
  readonly signal?: AbortSignal;
}

/**
 * The bundle of one other trust domain, kept current. As a provider of bundles it knows this trust domain only; see
 * `combineBundles`. To keep it through restarts store `current` on each update (SPIFFE Federation 4.2), as
 * `bundleToSpiffeJson` writes it, and give it back as `initial`.
 */
export interface BundleWatch extends Source, X509BundleProvider, JwtBundleProvider {
  /** @throws FinialError `unavailable` when closed */
  readonly current: Bundle;
  /**
   * Puts a bundle in force that an operator vouches for. It counts until the next refresh, whatever its sequence number
   * (SPIFFE Federation 4.2).
   *
   * @throws SpiffeError `invalid-bundle` for one of another trust domain
   */
  set(bundle: Bundle): void;
}

/**
 * Fetches a bundle again and again: as often as its refresh hint says, or every 5 minutes (SPIFFE Federation 4.1). A
 * fetch that fails is reported and made up for at the next interval, not sooner (6.2); a bundle with a smaller sequence
 * number than the one held is reported and dropped (4.2). Every fetch starts at the configured URL.
 *
 * @returns at once with an `initial` bundle, else once the first fetch has succeeded
 * @throws FinialError as `fetchBundle`, when there is no `initial` bundle; nothing is watched then
 */
export async function watchBundle(endpoint: BundleEndpoint, options: WatchBundleOptions = {}): Promise<BundleWatch> {
  const checked = checkEndpoint(endpoint);
  const { clock = systemClock, initial, interval, onError } = options;
  const stop = new AbortController();
  const updated = listeners<void>();
  const failed = listeners<FinialError>();
  if (onError !== undefined) failed.add(onError);
  const fetchNext = (held: Bundle): Promise<ReadBundle> =>
    fetchChecked(trusting(checked, held), { ...options, signal: stop.signal });
  const first = initial === undefined ? await fetchChecked(checked, options) : described(own(checked, initial));
  const state: WatchState = { bundle: first.bundle, setByOperator: false, interval: pollInterval(first, interval) };
  const parts = {
    clock,
    fetchNext,
    limits: interval,
    updated: () => updated.tell(),
    failed: (error: FinialError) => failed.tell(error),
  };
  void poll(state, { ...parts, stop: stop.signal }, initial === undefined ? state.interval : 0);

  const current = (): Bundle => {
    if (stop.signal.aborted) throw new FinialError('unavailable', 'the watch is closed');
    return state.bundle;
  };
  const close = (): void => stop.abort();
  return {
    get current() {
      return current();
    },
    get x509Bundles() {
      const { trustDomain, x509Authorities } = current();
      return new Map([[trustDomain, x509Authorities.map(({ certificate }) => certificate)]]);
    },
    get jwtBundles() {
      const { trustDomain, jwtAuthorities } = current();
      return new Map([[trustDomain, jwtAuthorities]]);
    },
    set(bundle) {
      state.bundle = own(checked, bundle);
      state.setByOperator = true;
      updated.tell();
    },
    onUpdate: (listener) => updated.add(listener),
    onError: (listener) => failed.add(listener),
    close,
    [Symbol.dispose]: close,
  };
}

interface WatchState {
  bundle: Bundle;
  setByOperator: boolean;
  /** Seconds between two fetches. */
  interval: number;
}

interface PollParts {
  readonly clock: Clock;
  readonly fetchNext: (held: Bundle) => Promise<ReadBundle>;
  readonly limits: PollLimits | undefined;
  readonly updated: () => void;
  readonly failed: (error: FinialError) => void;
  readonly stop: AbortSignal;
}

/** Never rejects: it ends when `stop` aborts. @param wait seconds until the first fetch */
async function poll(state: WatchState, parts: PollParts, wait: number): Promise<void> {
  const { clock, failed, stop } = parts;
  for (let seconds = wait; !stop.aborted; seconds = state.interval) {
    try {
      if (seconds > 0) await clock.sleep(seconds * 1000, stop);
      await refresh(state, parts);
    } catch (error) {
      if (!stop.aborted) failed(toFinialError(error));
    }
  }
}

/** @throws FinialError when there is nothing new to be had */
async function refresh(state: WatchState, { fetchNext, limits, updated, stop }: PollParts): Promise<void> {
  const read = await fetchNext(state.bundle);
  if (stop.aborted) return;
  state.interval = pollInterval(read, limits);
  const { bundle, outcome } = refreshBundle(state.setByOperator ? undefined : state.bundle, read);
  state.setByOperator = false;
  if (outcome === 'unchanged') return;
  if (outcome === 'stale') {
    const [fetched, held] = [read.bundle.sequenceNumber, bundle.sequenceNumber];
    throw new FinialError(
      'failed-precondition',
      `the bundle of ${bundle.trustDomain} that was fetched is older than the one held: sequence number ${fetched}, not ${held}`,
    );
  }
  state.bundle = bundle;
  updated();
}

/** SPIFFE Federation 5.2.2.4: after the first fetch, what was fetched last authenticates the next fetch, and nothing else. */
function trusting(endpoint: CheckedEndpoint, held: Bundle): CheckedEndpoint {
  const { profile } = endpoint;
  if (profile.type !== 'https_spiffe' || !isSelfServing(endpoint)) return endpoint;
  return { ...endpoint, profile: { ...profile, bundles: held } };
}

/** A bundle knows no difference between a hint of 0 and none. */
function described(bundle: Bundle): Pick<ReadBundle, 'bundle' | 'hasRefreshHint'> {
  return { bundle, hasRefreshHint: bundle.refreshHint !== 0 };
}

/** @throws SpiffeError `invalid-bundle` */
function own({ trustDomain }: CheckedEndpoint, bundle: Bundle): Bundle {
  if (bundle.trustDomain === trustDomain) return bundle;
  throw new SpiffeError('invalid-bundle', `bundle of ${bundle.trustDomain} instead of ${trustDomain}`);
}
