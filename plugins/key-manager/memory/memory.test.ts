import { pluginContext } from '../../../test/support/plugin-context.ts';
import { describeKeyManager } from '../conformance.ts';
import { memoryKeyManager } from './memory.ts';

describeKeyManager({
  name: 'memory',
  open: async () => memoryKeyManager.create({}, pluginContext(), undefined),
  reopen: { absent: 'keys are in memory only' },
});
