import { describe, expect, it } from 'vitest';
import { issueCa } from '../../test/support/pki.ts';
import { bundleToDer, x509AuthoritiesFromDer } from './der.ts';

describe('x509AuthoritiesFromDer', () => {
  it('shares no memory with what it read, which may be a buffer that somebody uses again', () => {
    const { der } = issueCa();
    const memory = bundleToDer({ x509Authorities: [{ certificate: der, tainted: false }] });
    const authorities = x509AuthoritiesFromDer(memory);
    memory.fill(0);
    expect(authorities).toEqual([{ certificate: der, tainted: false }]);
    expect(Object.isFrozen(authorities)).toBe(true);
  });
});
