import type { Task } from '../../common/lifecycle.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { isBeforeItsTime, shouldRenewX509Svid } from '../../spiffe/rotation.ts';
import { fetchFederatedBundles, federatedTrustDomains } from './bundles.ts';
import type { SyncDependencies } from './contract.ts';
import { type Due, x509Signing } from './signing.ts';
import { taintTest } from './tainted.ts';

/** What the server is asked for in one round. */
export interface Round {
  /** Entries, bundles, and SVIDs for what is due. @throws FinialError */
  readonly whole: Task;
  /** Only SVIDs for what is due. @throws FinialError */
  readonly sign: Task;
}

/** The calls of a synchronisation, in the order in which one needs the other's answer. */
export function syncRound(deps: SyncDependencies): Round {
  const { bundle, client, clock, config, feed, log, random } = deps;
  const signing = x509Signing({ client, feed, keyType: config.workloadKeyType, clock, log });

  const due = (): Due => {
    const now = clock.now();
    const isTainted = taintTest(bundle.current);
    return (svid) =>
      shouldRenewX509Svid(svid, now, random, config.availabilityTarget) ||
      isBeforeItsTime(svid, now) ||
      isTainted(svid.chain);
  };

  const takeBundle = async (next: Bundle): Promise<void> => {
    if (next.sequenceNumber === bundle.current.sequenceNumber && sameAuthorities(next, bundle.current)) return;
    await deps.saveBundle(next);
    bundle.publish(next);
    // The server is verified with the roots that a connection was made with.
    client.reconnect();
    deps.dropJwtSvids(next.jwtAuthorities.filter((one) => one.tainted).map((one) => one.keyId));
  };

  return {
    async whole(signal) {
      const entries = await client.syncEntries(feed.entries, signal);
      await takeBundle(await client.bundle(signal));
      const federated = await fetchFederatedBundles(client, federatedTrustDomains(entries.values()), signal);
      feed.setEntries(entries, bundle.current, federated);
      await signing(due(), signal);
    },
    sign: (signal) => signing(due(), signal),
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
