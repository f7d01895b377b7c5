import { object } from '../../../common/config/schema.ts';
import { definePlugin } from '../../plugin.ts';
import type { KeyManager } from '../contract.ts';
import { keysInProcess } from '../../../common/keys-in-process.ts';

/**
 * Keeps keys in memory only: after a restart a server begins with new authorities and an agent attests again. The same
 * definition serves both.
 */
export const memoryKeyManager = definePlugin({
  type: 'KeyManager',
  name: 'memory',
  config: object({}),
  create: (): KeyManager => keysInProcess(),
});
