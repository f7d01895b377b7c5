import { hasCode } from '../../common/errors.ts';
import { implementHealth } from '../../common/rpc/health.ts';
import type { ImplementedService } from '../../common/rpc/service.ts';

/**
 * The health service of the public socket: the agent serves when its own Workload API answers it (agent.md 4.7). Having
 * no identity is an answer as well.
 *
 * @param probe calls the Workload API as a workload would; absent when that API is switched off
 */
export function publicHealth(probe: (() => Promise<void>) | undefined): ImplementedService {
  return implementHealth(async () => {
    if (probe === undefined) return true;
    try {
      await probe();
      return true;
    } catch (error) {
      return hasCode(error, 'permission-denied');
    }
  });
}
