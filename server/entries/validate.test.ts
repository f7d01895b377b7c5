import { describe, expect, it } from 'vitest';
import { checkDnsName, checkHint, checkWildcardOverlap } from './validate.ts';

const label63 = 'a'.repeat(63);

describe('a DNS name', () => {
  it.each([
    'Example.org',
    'a_b.org',
    'xn--bcher-kva.org',
    '*.a',
    '1.2.3.4',
    'localhost',
    [label63, label63, label63, 'a'.repeat(61)].join('.'),
  ])('%s is accepted', (name) => {
    expect(() => checkDnsName(name)).not.toThrow();
  });

  it.each([
    ['é.org', 'name must be ascii'],
    ['*.*.a', 'too many wildcards'],
    ['*a.b', 'wildcard must be first label'],
    ['a.*.b', 'wildcard must be first label'],
    ['*', 'wildcard must be first label'],
    ['*.', 'empty or only whitespace'],
    [' ', 'empty or only whitespace'],
    ['a.', 'domain ends with dot'],
    ['a..b', 'idna error\nidna: invalid label "a..b"'],
    ['.a', 'idna error\nidna: invalid label ".a"'],
    ['-a.org', 'idna error\nidna: invalid label "-a"'],
    ['a-.org', 'idna error\nidna: invalid label "a-"'],
    ['ab--c.org', 'idna error\nidna: invalid label "ab--c"'],
    ['xn--Bcher-kva.org', 'idna error'],
    ['xn--a', 'idna error'],
    [`a${label63}.org`, 'idna error'],
    [[label63, label63, label63, label63, 'org'].join('.'), 'idna error'],
    ['a\u0000b.org', 'name must not contain control characters'],
  ])('%j is refused', (name, why) => {
    expect(() => checkDnsName(name)).toThrow(why);
  });
});

describe('wildcards', () => {
  it('must not cover another name of the list', () => {
    expect(() => checkWildcardOverlap(['*.a.org', 'b.a.org'])).toThrow('name "b.a.org" overlaps');
    expect(() => checkWildcardOverlap(['*.a.org', 'c.b.a.org', 'a.org', '*.a.org'])).not.toThrow();
  });
});

describe('a hint', () => {
  it('is bounded in bytes', () => {
    expect(() => checkHint('é'.repeat(512))).not.toThrow();
    expect(() => checkHint('é'.repeat(513))).toThrow('hint is too long');
  });
});
