import { describe, expect, it } from 'vitest';
import { ManualClock } from '../common/clock.ts';
import { CloseStack } from '../common/lifecycle.ts';
import { silentLogger } from '../common/log/logger.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { pluginOpener, theOne } from './open.ts';

const context = { trustDomain: parseTrustDomain('example.org'), clock: new ManualClock(), log: silentLogger };

const configured = (name: string, instance: object) => ({
  type: 'KeyManager',
  name,
  create: async (_: unknown, host: string) => ({ host, ...instance }),
});

describe('pluginOpener', () => {
  it('lends the host and closes what can be closed, in reverse order', async () => {
    const closed: string[] = [];
    const resources = new CloseStack();
    const open = pluginOpener(context, resources);
    const first = await open(configured('first', { close: () => void closed.push('first') }), 'lent');
    await open(configured('plain', {}), 'lent');
    await open(configured('last', { close: async () => void closed.push('last') }), 'lent');
    expect(first.host).toBe('lent');
    await resources.close();
    expect(closed).toEqual(['last', 'first']);
  });
});

describe('theOne', () => {
  it('takes the only one and finds a programmer at fault when there is none', () => {
    expect(theOne(['a'])).toBe('a');
    expect(() => theOne([])).toThrow(TypeError);
  });
});
