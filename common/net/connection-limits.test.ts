import { describe, expect, it } from 'vitest';
import { crowd, mostConnections } from './connection-limits.ts';

const limits = (open: string): string => `Limit                     Soft Limit           Hard Limit           Units
Max processes             1                    1                    processes
Max open files            ${open.padEnd(20)} 1048576              files
`;

describe('the most connections', () => {
  it('leave a quarter of the descriptors for other work', () => {
    expect(mostConnections(1, limits('400'))).toBe(300);
    expect(mostConnections(2, limits('400'))).toBe(150);
    expect(mostConnections(2, limits('1'))).toBe(1);
  });

  it('are 8192 however many descriptors there are, and where nobody tells', () => {
    expect(mostConnections(2, limits('1048576'))).toBe(8192);
    expect(mostConnections(2, limits('unlimited'))).toBe(8192);
    expect(mostConnections(2, '')).toBe(8192);
  });

  it('are those of this process unless told', () => {
    expect(mostConnections(1)).toBeGreaterThan(0);
  });
});

describe('a crowd', () => {
  const member = () => {
    const one = { destroyed: false, destroy: () => void (one.destroyed = true) };
    return one;
  };

  it('cuts off the one that has been there longest when there is one too many', () => {
    const members = ['a', 'b', 'c'].map((key) => ({ key, one: member() }));
    const two = crowd(2);
    for (const { key, one } of members) two.add(key, one);
    expect(members.map(({ one }) => one.destroyed)).toEqual([true, false, false]);
  });

  it('forgets those that have left, and cuts off all at the end', () => {
    const [a, b, c] = [member(), member(), member()];
    const two = crowd(2);
    two.add('a', a);
    two.add('b', b);
    two.delete('a');
    two.add('c', c);
    expect([a.destroyed, b.destroyed, c.destroyed]).toEqual([false, false, false]);
    two.clear();
    expect([a.destroyed, b.destroyed, c.destroyed]).toEqual([false, true, true]);
  });
});
