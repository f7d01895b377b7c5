import { type ReadBundleMap, readBundleMap } from '../../../spiffe/bundle/bundle-map.ts';
import { pollInterval } from '../../../spiffe/bundle/refresh.ts';
import { type MapInput, mapOf } from './bundle-input.ts';

/** Maps that are read one after the other into one place; one that `isRefused` leaves the place as it was. */
type Input = readonly (MapInput & { readonly isRefused?: boolean })[];

export function run(maps: Input): object {
  let held: ReadBundleMap | undefined;
  for (const map of maps) {
    try {
      held = readBundleMap(mapOf(map));
    } catch (error) {
      if (map.isRefused !== true) throw error;
      continue;
    }
    if (map.isRefused === true) throw new Error('a map was accepted that should have been refused');
  }
  if (held === undefined) throw new Error('no map was read');
  const { bundles, skipped } = held;
  const all = Array.from(bundles.values());
  // BUNDLE-29: whatever hints members had, none reaches those who poll the map.
  const hints = all.map(({ refreshHint }) => refreshHint).filter((hint) => hint !== 0);
  return {
    names: Array.from(bundles.keys()),
    x509: Object.fromEntries(all.map((one) => [one.trustDomain, one.x509Authorities.length])),
    sequence: Object.fromEntries(all.map((one) => [one.trustDomain, String(one.sequenceNumber)])),
    poll: pollInterval({ hasRefreshHint: hints.length > 0, bundle: { refreshHint: Math.min(...hints) } }),
    skipped,
  };
}
