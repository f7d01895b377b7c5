import type { Clock } from '../../common/clock.ts';
import { messageOf } from '../../common/errors.ts';
import { every } from '../../common/every.ts';
import type { Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import { type Observable, subject } from '../../common/observable.ts';
import type { BundleStore } from '../../plugins/datastore/sql/contract.ts';
import { type Bundle, emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { equalBundles } from '../../spiffe/bundle/change.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

/** Where the bundle is stored. */
export interface LocalBundleDeps {
  readonly store: BundleStore;
  readonly trustDomain: TrustDomain;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The bundle of the server's own trust domain, which several servers may change in a shared store. */
export interface LocalBundle {
  /** Changes made through `bundles` show at once, those of other servers within a second while `run` runs. */
  readonly bundle: Observable<Bundle>;
  /** One more with each change of the own bundle that shows, and of others' that is made through `bundles`. */
  readonly changes: Observable<number>;
  /** At most one second old. */
  get(): Promise<Bundle>;
  /** The store, with every change of this bundle noticed. All of this process that writes bundles goes through it. */
  readonly bundles: BundleStore;
  readonly run: Task;
}

/** How old an answer may be; the reference's cache has the same age. */
const OLDEST_MS = 1000;

/** Reads the bundle once; it is empty when none is stored yet. */
export async function openLocalBundle({ store, trustDomain, clock, log }: LocalBundleDeps): Promise<LocalBundle> {
  const bundle = subject(emptyBundle(trustDomain));
  const changes = subject(0);
  const changed = (): void => changes.publish(changes.current + 1);
  let readAt = 0;
  let begun = 0;
  let shown = 0;

  /** Of several reads under way the one begun last wins, since what it saw is newest. */
  const refresh = async (): Promise<Bundle> => {
    begun += 1;
    const [turn, at] = [begun, clock.steady()];
    const read = (await store.get(trustDomain)) ?? emptyBundle(trustDomain);
    if (turn > shown) {
      shown = turn;
      readAt = at;
      if (!equalBundles(read, bundle.current)) {
        bundle.publish(Object.freeze(read));
        changed();
      }
    }
    return bundle.current;
  };

  const noticing = async <T>(of: TrustDomain, change: Promise<T>): Promise<T> => {
    const result = await change;
    if (of !== trustDomain) {
      changed();
      return result;
    }
    try {
      await refresh();
    } catch (error) {
      // The change is made; to report it as failed would have the caller make it again.
      log.warn('Could not read the trust domain bundle after a change', { error: messageOf(error) });
    }
    return result;
  };

  await refresh();
  return {
    bundle,
    changes,
    get: async () => (clock.steady() - readAt < OLDEST_MS ? bundle.current : refresh()),
    bundles: {
      get: (of) => store.get(of),
      list: (query) => store.list(query),
      count: () => store.count(),
      append: (added) => noticing(added.trustDomain, store.append(added)),
      set: (replacement) => noticing(replacement.trustDomain, store.set(replacement)),
      prune: (of, expiresBefore) => noticing(of, store.prune(of, expiresBefore)),
    },
    run: (signal) => every(OLDEST_MS, clock, signal, loggingOnce(refresh, log)),
  };
}

/** Keeps the last bundle while the store fails, and says so once and not each second. */
function loggingOnce(refresh: () => Promise<unknown>, log: Logger): () => Promise<void> {
  let failing = false;
  return async () => {
    try {
      await refresh();
      if (failing) log.info('Trust domain bundle can be read again');
      failing = false;
    } catch (error) {
      if (!failing)
        log.error('Could not read the trust domain bundle; keeping the last one', { error: messageOf(error) });
      failing = true;
    }
  };
}
