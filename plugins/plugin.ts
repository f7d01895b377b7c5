import type { Clock } from '../common/clock.ts';
import type { Schema } from '../common/config/schema.ts';
import type { Logger } from '../common/log/logger.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';

/** What every plugin is handed; anything more is a capability that its contract names (`Host`). */
export interface PluginContext {
  readonly trustDomain: TrustDomain;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * One built-in implementation of a plugin contract. A plain value: importing it does nothing, `builtin.ts` lists it,
 * and the catalog creates an instance when the configuration names it.
 *
 * @typeParam Config the typed form of its `plugin_data`
 * @typeParam Instance the contract it implements
 * @typeParam Host the capabilities it needs beyond `PluginContext`
 */
export interface Plugin<Config, Instance, Host = unknown> {
  /** The block name in the configuration, such as `KeyManager`. */
  readonly type: string;
  /** The label in the configuration, such as `disk`. */
  readonly name: string;
  /** Reads `plugin_data`; pure, so that `validate` costs nothing. */
  readonly config: Schema<Config>;
  create(config: Config, context: PluginContext, host: Host): Promise<Instance> | Instance;
}

/** Infers the type arguments of a plugin from its definition. */
export function definePlugin<Config, Instance, Host = unknown>(
  plugin: Plugin<Config, Instance, Host>,
): Plugin<Config, Instance, Host> {
  return plugin;
}
