import type { Call } from '../../../common/rpc/call.ts';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import { trustDomainId } from '../../../spiffe/id.ts';
import type { WorkloadUpdate } from '../../cache/contract.ts';
import { callLog, noIdentity } from './caller.ts';
import type { WorkloadApiDependencies } from './dependencies.ts';
import { onChange } from './encoded.ts';

/**
 * The bundles that the caller may see, and all of them again when one changed. A caller without an identity sees that
 * of the agent's trust domain if the operator allows it, and nothing otherwise.
 */
export async function* bundleStream(
  deps: WorkloadApiDependencies,
  call: Call,
  encode: (update: WorkloadUpdate) => Buffer,
): AsyncGenerator<Buffer, void, undefined> {
  const log = callLog(deps.log, call);
  const selectors = await deps.attest(call.peer, call.signal);
  const isNew = onChange();
  for await (const update of deps.cache.subscribe(selectors, call.signal)) {
    if (update.identities.length === 0 && !deps.config.allowUnauthenticatedVerifiers) {
      throw noIdentity(deps, log, selectors);
    }
    const response = encode(update);
    if (isNew(response)) yield response;
  }
}

/** By the ID of the trust domain: the agent's own, and those of others that have something to verify with. */
export function bundleMap(
  { bundle, federatedBundles }: WorkloadUpdate,
  isUsable: (bundle: Bundle) => boolean,
  encode: (bundle: Bundle) => Buffer,
): Record<string, Buffer> {
  const bundles: Record<string, Buffer> = { [trustDomainId(bundle.trustDomain)]: encode(bundle) };
  for (const [trustDomain, foreign] of federatedBundles) {
    if (isUsable(foreign)) bundles[trustDomainId(trustDomain)] = encode(foreign);
  }
  return bundles;
}
