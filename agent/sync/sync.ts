import { backoffDelay, exponential } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import { FinialError, messageOf } from '../../common/errors.ts';
import type { Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { Subject } from '../../common/observable.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { shouldRenewX509Svid } from '../../spiffe/rotation.ts';
import type { KeyType } from '../../spiffe/signer.ts';
import type { CacheFeed } from '../cache/contract.ts';
import type { AgentIdentity, ServerClient } from '../server-client/contract.ts';
import { fetchFederatedBundles, federatedTrustDomains } from './bundles.ts';
import { type FailureKind, kindOfFailure } from './failure.ts';
import { type Due, x509Signing } from './signing.ts';
import { taintTest } from './tainted.ts';

export interface SyncConfig {
  /** How often the server is asked for changes, ms. */
  readonly syncInterval: number;
  readonly workloadKeyType: KeyType;
  /** How long SVIDs must outlive an outage of the server, ms; 0 for none. */
  readonly availabilityTarget: number;
}

export interface SyncDependencies {
  readonly client: ServerClient;
  readonly feed: CacheFeed;
  /** Of the agent's own trust domain; published before it is used. */
  readonly bundle: Subject<Bundle>;
  readonly identity: Subject<AgentIdentity>;
  /** Signs a new identity for the agent and keeps it on disk. @throws FinialError */
  renewIdentity(current: AgentIdentity, signal: AbortSignal): Promise<AgentIdentity>;
  /** Keeps the bundle on disk. */
  saveBundle(bundle: Bundle): Promise<void>;
  /**
   * Decides what follows when the server will not have this agent any more, or is not to be trusted.
   *
   * @returns the new identity, when the agent could attest anew
   * @throws when the agent has to end
   */
  rejected(kind: Exclude<FailureKind, 'retry'>, error: unknown, signal: AbortSignal): Promise<AgentIdentity>;
  /** Told of the keys of JWT authorities that must not be relied on any more. */
  dropJwtSvids(keyIds: readonly string[]): void;
  readonly config: SyncConfig;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface Sync {
  /** One whole synchronisation: entries, bundles, SVIDs. @throws FinialError */
  once(signal: AbortSignal): Promise<void>;
  /** Synchronises until stopped. One thing at a time: an identity is never renewed while calls are made under it. */
  readonly run: Task;
  /** Unix milliseconds of the last success; 0 before the first. */
  readonly lastSuccess: number;
}

/** The longest wait between attempts is this many intervals, but no more than eight minutes. */
const SLOWEST_INTERVALS = 48;
const SLOWEST_MS = 480_000;
/** An agent without a single SVID asks at least this often: somebody is about to register its first workload. */
const IDLE_MS = 5000;
/** Between attempts to renew the agent's own SVID. */
const RENEWAL = exponential(5000, 120_000);

export function synchronisation(deps: SyncDependencies): Sync {
  const { bundle, client, clock, config, feed, identity, log, random } = deps;
  const sign = x509Signing({ client, feed, keyType: config.workloadKeyType, log });
  const policy = exponential(config.syncInterval, Math.min(SLOWEST_MS, SLOWEST_INTERVALS * config.syncInterval));
  let lastSuccess = 0;

  const due = (): Due => {
    const now = clock.now();
    const isTainted = taintTest(bundle.current);
    return (svid) => shouldRenewX509Svid(svid, now, random, config.availabilityTarget) || isTainted(svid.chain);
  };

  const adopt = (next: AgentIdentity): void => {
    identity.publish(next);
    client.reconnect();
  };

  const renewIfDue = async (signal: AbortSignal): Promise<void> => {
    const current = identity.current;
    const isDue =
      shouldRenewX509Svid(current, clock.now(), random, config.availabilityTarget) ||
      taintTest(bundle.current)(current.chain);
    if (!isDue) return;
    log.debug('Rotating agent SVID');
    adopt(await deps.renewIdentity(current, signal));
    log.info('Successfully rotated agent SVID');
  };

  const takeBundle = async (next: Bundle): Promise<void> => {
    if (next.sequenceNumber === bundle.current.sequenceNumber && sameAuthorities(next, bundle.current)) return;
    await deps.saveBundle(next);
    bundle.publish(next);
    // The server is verified with the roots that a connection was made with.
    client.reconnect();
    deps.dropJwtSvids(next.jwtAuthorities.filter((one) => one.tainted).map((one) => one.keyId));
  };

  const once = async (signal: AbortSignal): Promise<void> => {
    const entries = await client.syncEntries(feed.entries, signal);
    await takeBundle(await client.bundle(signal));
    const federated = await fetchFederatedBundles(client, federatedTrustDomains(entries.values()), signal);
    feed.setEntries(entries, bundle.current, federated);
    await sign(due(), signal);
    lastSuccess = clock.now();
  };

  /**
   * @param whenItFails the line of the log
   * @returns what it failed with, undefined when it went well
   * @throws when the agent has to end
   */
  const attempt = async (
    work: (signal: AbortSignal) => Promise<void>,
    whenItFails: string,
    signal: AbortSignal,
  ): Promise<{ readonly error: unknown } | undefined> => {
    try {
      await work(signal);
      return undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      const kind = kindOfFailure(error);
      log.error(whenItFails, { error });
      if (kind === 'retry') return { error };
      adopt(await deps.rejected(kind, error, signal));
      return { error };
    }
  };

  let renewal = { failures: 0, next: 0 };

  /** Its failures have a pace of their own: they must not keep the agent from learning of new entries. */
  const renew = async (signal: AbortSignal): Promise<void> => {
    if (clock.steady() < renewal.next) return;
    const failure = await attempt(renewIfDue, 'Could not rotate agent SVID', signal);
    if (failure === undefined) {
      renewal = { failures: 0, next: 0 };
      return;
    }
    const { notAfter, reattestable } = identity.current;
    if (clock.now() >= notAfter) {
      // The server takes no call from it any more; only a new start can help.
      const what = reattestable ? 'reattest agent' : 'rotate agent SVID';
      const text = `current SVID has already expired and ${what} failed: ${messageOf(failure.error)}`;
      throw new FinialError('unauthenticated', text, { cause: failure.error });
    }
    const { failures } = renewal;
    renewal = { failures: failures + 1, next: clock.steady() + backoffDelay(RENEWAL, failures, random) };
  };

  return {
    once,
    get lastSuccess() {
      return lastSuccess;
    },
    async run(signal) {
      const demand = demandOf(feed);
      try {
        let failures = 0;
        let next = clock.steady() + backoffDelay(policy, failures, random);
        while (!signal.aborted) {
          const demanded = await demand.wait(clock, Math.max(0, next - clock.steady()), signal);
          if (signal.aborted) return;
          if (demanded) {
            await attempt((work) => sign(due(), work), 'Failed to sign X509-SVIDs', signal);
            continue;
          }
          await renew(signal);
          failures = (await attempt(once, 'Synchronize failed', signal)) === undefined ? 0 : failures + 1;
          const delay = backoffDelay(policy, failures, random);
          next = clock.steady() + (failures === 0 && feed.svidCount === 0 ? Math.min(IDLE_MS, delay) : delay);
        }
      } finally {
        demand.stop();
      }
    },
  };
}

/** Both are as the server sent them, so equal content is equal bytes in equal order. */
function sameAuthorities(a: Bundle, b: Bundle): boolean {
  const key = (bundle: Bundle): string =>
    JSON.stringify([
      bundle.x509Authorities.map((one) => [one.certificate.toString('base64'), one.tainted]),
      bundle.jwtAuthorities.map((one) => [one.keyId, one.publicKey.toString('base64'), one.expiresAt, one.tainted]),
    ]);
  return key(a) === key(b);
}

/** Waits that end early when a workload asks for something that is not signed yet. */
function demandOf(feed: Pick<CacheFeed, 'onDemand'>): {
  /** @returns whether a workload ended the wait */
  wait(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean>;
  stop(): void;
} {
  let pending = false;
  let wake: (() => void) | undefined;
  const stop = feed.onDemand(() => {
    pending = true;
    wake?.();
  });
  return {
    stop,
    async wait(clock, ms, signal) {
      const over = new AbortController();
      if (!pending) {
        const sleep = clock.sleep(ms, AbortSignal.any([signal, over.signal]));
        await Promise.race([
          // The wait was broken off: by the signal, which the caller asks about, or by the demand below.
          sleep.catch(() => undefined),
          new Promise<void>((resolve) => {
            wake = resolve;
          }),
        ]);
        over.abort();
        wake = undefined;
      }
      const demanded = pending;
      pending = false;
      return demanded;
    },
  };
}
