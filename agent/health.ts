import { hasCode } from '../common/errors.ts';
import type { HealthState } from '../common/health/health.ts';

/**
 * The health of the agent as its probes tell it (agent.md 11.1). Only a Workload API that does not answer is unhealthy;
 * one that refuses this process works. An agent that is still starting is alive, however long its server keeps it
 * waiting: killing it for that would never end.
 *
 * @param started whether its sockets are open
 * @param probe calls the Workload API as a workload would; absent when that API is switched off
 */
export async function agentHealth(started: boolean, probe: (() => Promise<void>) | undefined): Promise<HealthState> {
  const starting = !started;
  if (probe === undefined) return { live: true, ready: started, starting, liveDetails: null, readyDetails: null };
  try {
    await probe();
  } catch (error) {
    if (hasCode(error, 'unavailable')) {
      const details = { make_new_x509_err: error.message };
      return { live: starting, ready: false, starting, liveDetails: starting ? {} : details, readyDetails: details };
    }
  }
  return { live: true, ready: true, starting, liveDetails: {}, readyDetails: {} };
}
