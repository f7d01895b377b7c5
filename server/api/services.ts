import { implementHealth } from '../../common/rpc/health.ts';
import type { ImplementedService } from '../../common/rpc/service.ts';
import type { Logger } from '../../common/log/logger.ts';
import { agentApi, type AgentServiceDeps } from './agent/service.ts';
import { bundleApi, type BundleServiceDeps } from './bundle/service.ts';
import { entryApi, type EntryServiceDeps } from './entry/service.ts';
import { changesApi, type ChangesServiceDeps } from './finial/service.ts';
import { svidApi, type SvidServiceDeps } from './svid/service.ts';

/** What all services take together. */
export type ServicesDeps = AgentServiceDeps &
  BundleServiceDeps &
  ChangesServiceDeps &
  EntryServiceDeps &
  SvidServiceDeps & { readonly log: Logger };

/** The services of the two listeners. Those not listed are not served; calls to them answer Unimplemented. */
export function apiServices(deps: ServicesDeps): {
  readonly tcp: readonly ImplementedService[];
  readonly local: readonly ImplementedService[];
} {
  const shared = [agentApi(deps), bundleApi(deps), entryApi(deps), svidApi(deps), changesApi(deps)];
  return { tcp: shared, local: [...shared, implementHealth(() => isServing(deps))] };
}

/** The server serves as soon as there is a bundle, which its own authorities make. */
async function isServing({ bundles, log, trustDomain }: ServicesDeps): Promise<boolean> {
  try {
    if ((await bundles.get(trustDomain)) !== undefined) return true;
    log.warn('Health check failed', { reason: 'bundle is missing' });
  } catch (error) {
    log.warn('Health check failed', { reason: 'unable to fetch bundle', error });
  }
  return false;
}
