import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expandEnv } from './expand.ts';

const env = { HOME: '/root', A_1: 'x', EMPTY: '', 'odd name': 'odd' };

describe('expandEnv', () => {
  it.each([
    ['dir = "$HOME/data"', 'dir = "/root/data"'],
    ['${HOME}x$A_1-', '/rootxx-'],
    ['$UNSET${UNSET}|$EMPTY', '|'],
    ['$$HOME and $${HOME}', '$HOME and ${HOME}'],
    ['${$}', '$'],
    ['a$*b$0c$12', 'abc2'],
    ['${odd name}', 'odd'],
    ['${}x', 'x'],
    ['a ${b', 'a b'],
    ['a ${', 'a '],
    ['$ x $', '$ x $'],
    ['$-x', 'x'],
    ['$é', '$é'],
    ['$toString $__proto__', ' '],
  ])('turns %j into %j', (text, expanded) => {
    expect(expandEnv(text, env)).toBe(expanded);
  });

  it('leaves text without a dollar alone and takes time linear in the text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => expandEnv(text.replaceAll('$', ''), env) === text.replaceAll('$', '')),
    );
    expect(expandEnv('${'.repeat(200_000), env)).toBe('');
    expect(expandEnv('$'.repeat(400_001), env)).toHaveLength(200_001);
  });
});
