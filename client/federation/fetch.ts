import { type Clock, systemClock } from '../../common/clock.ts';
import { FinialError, messageOf, toFinialError } from '../../common/errors.ts';
import { type ReadBundle, readSpiffeBundle } from '../../spiffe/bundle/json.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { connectEndpoint } from './connect.ts';
import { withDeadline } from './deadline.ts';
import { type BundleEndpoint, type CheckedEndpoint, checkEndpoint, endpointUrl } from './endpoint.ts';
import { getOver } from './http-get.ts';

/** What bounds a fetch. */
export interface FetchBundleOptions {
  readonly signal?: AbortSignal;
  /** For everything together, redirects too; 30 seconds when absent. */
  readonly timeoutMs?: number;
  /** The size of the document; 4 MiB when absent, which is also the most that is ever read. */
  readonly maxBytes?: number;
  /** How many redirects in a row are followed, 10 when absent; 0 follows none (SPIFFE Federation 7.5.1). */
  readonly maxRedirects?: number;
  /** Judges the validity of SVIDs, and measures the time allowed. */
  readonly clock?: Clock;
  /** Hears of each fetch when it is over, whatever came of it, to be logged (SPIFFE Federation 7.6). */
  readonly onFetch?: (record: FetchRecord) => void;
}

/** One fetch, as operators want to find it in a log. */
export interface FetchRecord {
  readonly trustDomain: TrustDomain;
  /** As configured. */
  readonly url: string;
  /** Where redirects led, in order. */
  readonly redirects: readonly string[];
  readonly profile: 'https_web' | 'https_spiffe';
  /** Of `https_spiffe`: who the endpoint had to be. */
  readonly endpointId: SpiffeId | undefined;
  /** Absent when it went well. */
  readonly error?: FinialError;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_REDIRECTS = 10;

/**
 * Fetches the bundle of another trust domain (SPIFFE Federation 5). The endpoint is authenticated by its profile alone,
 * at the configured URL as at each place that it redirects to. Whether the bundle is newer than one that is held is not
 * judged: see `watchBundle`.
 *
 * @returns the bundle, and what its document said beyond it
 * @throws FinialError `invalid-argument` for parameters that break the standard; `unauthenticated` or
 *   `permission-denied` for an endpoint that is not the one meant; `failed-precondition` when no bundle can verify it;
 *   `unavailable`; `data-loss` for a document that is no bundle; `resource-exhausted`, `deadline-exceeded`, `cancelled`
 */
export async function fetchBundle(endpoint: BundleEndpoint, options: FetchBundleOptions = {}): Promise<ReadBundle> {
  return fetchChecked(checkEndpoint(endpoint), options);
}

/** `fetchBundle` of an endpoint whose parameters were checked. */
export async function fetchChecked(endpoint: CheckedEndpoint, options: FetchBundleOptions): Promise<ReadBundle> {
  const { onFetch = () => undefined, clock = systemClock, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const redirects: string[] = [];
  const record = {
    ...{ trustDomain: endpoint.trustDomain, url: endpoint.url.href, redirects, profile: endpoint.profile.type },
    endpointId: endpoint.profile.type === 'https_spiffe' ? endpoint.profile.endpointId : undefined,
  };
  let read: ReadBundle;
  try {
    const limits = { timeoutMs, clock, signal: options.signal };
    const body = await withDeadline(
      (signal) => follow(endpoint, { ...options, clock, timeoutMs }, signal, redirects),
      limits,
    );
    read = decode(body, endpoint.trustDomain);
  } catch (thrown) {
    const error = toFinialError(thrown);
    onFetch(Object.freeze({ ...record, error }));
    throw error;
  }
  onFetch(Object.freeze(record));
  return read;
}

/** Each hop is held to the same rules: a valid URL and, by the same profile, the same server (5.2.1.4, 5.2.2.4). */
async function follow(
  { url: configured, profile }: CheckedEndpoint,
  options: FetchBundleOptions & { readonly clock: Clock; readonly timeoutMs: number },
  signal: AbortSignal,
  redirects: string[],
): Promise<Buffer> {
  const { maxBytes = MAX_BYTES, maxRedirects = MAX_REDIRECTS, timeoutMs, clock } = options;
  const limits = { signal, timeoutMs, now: () => clock.now() };
  for (let url = configured; ; ) {
    const socket = await connectEndpoint(url, profile, limits);
    const answer = await getOver(socket, url, { signal, maxBytes: Math.min(maxBytes, MAX_BYTES) });
    if ('body' in answer) return answer.body;
    if (redirects.length >= maxRedirects) {
      throw new FinialError('unavailable', `the bundle endpoint redirects more than ${maxRedirects} times`);
    }
    url = redirectTarget(answer.location, url);
    redirects.push(url.href);
  }
}

/** @throws FinialError `unavailable`, as it is the endpoint that is wrong and not the configuration */
function redirectTarget(location: string, from: URL): URL {
  try {
    return endpointUrl(location, from);
  } catch (cause) {
    throw new FinialError('unavailable', `redirect refused: ${messageOf(cause)}`, { cause });
  }
}

function decode(body: Buffer, trustDomain: TrustDomain): ReadBundle {
  try {
    return readSpiffeBundle(body, trustDomain);
  } catch (cause) {
    throw new FinialError('data-loss', messageOf(cause), { cause });
  }
}
