import { ManualClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log/logger.ts';
import type { PluginContext } from '../../plugins/plugin.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';

/** What a plugin is handed, for tests: a clock that stands still, nothing logged. */
export function pluginContext(context: Partial<PluginContext> = {}): PluginContext {
  return { trustDomain: parseTrustDomain('example.org'), clock: new ManualClock(), log: silentLogger, ...context };
}
