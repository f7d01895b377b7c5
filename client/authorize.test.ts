import { describe, expect, it } from 'vitest';
import { parseSpiffeId, type SpiffeId } from '../spiffe/id.ts';
import {
  type Authorize,
  authorizeAllOf,
  authorizeAny,
  authorizeId,
  authorizeIf,
  authorizeOneOf,
  authorizePath,
  authorizeTrustDomain,
  requireAuthorized,
} from './authorize.ts';

const ids = [
  'spiffe://a.test/billing',
  'spiffe://a.test/billing/worker',
  'spiffe://a.test/billing-test',
  'spiffe://a.test/web',
  'spiffe://a.test.evil/billing',
  'spiffe://b.test/billing',
].map((id) => parseSpiffeId(id));

/** Which of the IDs above are accepted, by their index. */
function accepted(authorize: Authorize): number[] {
  return ids.flatMap((id, index) => {
    try {
      requireAuthorized(authorize, id);
      return [index];
    } catch (error) {
      expect(error).toMatchObject({ code: 'permission-denied', message: expect.stringContaining(id) });
      return [];
    }
  });
}

/** What JavaScript may pass, and the compiler would not. */
function untyped(authorize: (id: SpiffeId) => unknown): Authorize {
  return authorize as Authorize;
}

describe('authorizers', () => {
  it.each<[what: string, authorize: Authorize, accepts: number[], trustDomains: string[] | undefined]>([
    ['any', authorizeAny, [0, 1, 2, 3, 4, 5], undefined],
    ['one ID', authorizeId('spiffe://a.test/billing'), [0], ['a.test']],
    ['several IDs', authorizeId('spiffe://a.test/web', 'spiffe://b.test/billing'), [3, 5], ['a.test', 'b.test']],
    ['no ID', authorizeId(), [], []],
    ['a trust domain', authorizeTrustDomain('a.test'), [0, 1, 2, 3], ['a.test']],
    ['trust domains', authorizeTrustDomain('b.test', 'spiffe://a.test'), [0, 1, 2, 3, 5], ['b.test', 'a.test']],
    ['a path', authorizePath('a.test', '/billing'), [0, 1], ['a.test']],
    ['a longer path', authorizePath('a.test', '/billing/worker'), [1], ['a.test']],
    ['a function', authorizeIf((id) => id.endsWith('/billing')), [0, 4, 5], undefined],
    [
      'one of several',
      authorizeOneOf(authorizePath('a.test', '/web'), authorizeTrustDomain('b.test')),
      [3, 5],
      ['a.test', 'b.test'],
    ],
    ['one of none', authorizeOneOf(), [], []],
    [
      'one of what knows its trust domains and what does not',
      authorizeOneOf(authorizeAny, authorizeTrustDomain('b.test')),
      [0, 1, 2, 3, 4, 5],
      undefined,
    ],
    [
      'all of several',
      authorizeAllOf(authorizeTrustDomain('a.test', 'b.test'), authorizeTrustDomain('b.test')),
      [5],
      ['b.test'],
    ],
    [
      'all, of which one knows its trust domains',
      authorizeAllOf(
        authorizeIf((id) => id.endsWith('g')),
        authorizeTrustDomain('a.test'),
      ),
      [0],
      ['a.test'],
    ],
    ['all of none', authorizeAllOf(), [], undefined],
  ])('accept %s', (_what, authorize, accepts, trustDomains) => {
    expect([accepted(authorize), authorize.trustDomains]).toEqual([accepts, trustDomains]);
  });

  it('refuse what is no ID, trust domain or path when they are made', () => {
    expect(() => authorizeId('https://a.test/x')).toThrow('scheme');
    expect(() => authorizeTrustDomain('A_.test!')).toThrow('trust domain');
    // Without the slash, it would become part of the trust domain's name, and leave no path to compare.
    expect(() => authorizePath('a.test', 'billing')).toThrow('must begin with /');
    expect(() => authorizePath('a.test', '/billing/')).toThrow('trailing slash');
    expect(() => authorizePath('a.test', '/billing/../web')).toThrow('dot segment');
    expect(() => authorizePath('a.test', '')).toThrow('must begin with /');
    expect(() => authorizePath('a.test', '/')).toThrow('trailing slash');
  });

  it('refuse when they throw anything, and keep the reason', () => {
    const thrown = authorizeIf(() => {
      throw new Error('the list is not loaded');
    });
    expect(accepted(thrown)).toEqual([]);
    expect(() => requireAuthorized(thrown, parseSpiffeId('spiffe://a.test/x'))).toThrow('the list is not loaded');
    expect(accepted(authorizeOneOf(thrown, authorizeTrustDomain('b.test')))).toEqual([5]);
  });

  it('refuse when they return anything: a no that nobody hears, or a promise that nobody waits for', async () => {
    const refusals = [
      () => false,
      () => true,
      () => null,
      () => Promise.resolve(),
      () => Promise.reject(new Error('no')),
    ];
    for (const refuses of refusals) {
      expect(accepted(untyped(refuses))).toEqual([]);
      expect(accepted(authorizeOneOf(untyped(refuses)))).toEqual([]);
      expect(accepted(authorizeAllOf(untyped(refuses)))).toEqual([]);
    }
    const promising = (() => Promise.resolve(true)) as unknown as (id: SpiffeId) => boolean;
    expect(accepted(authorizeIf(promising))).toEqual([]);
    // An unhandled rejection would fail the run.
    await new Promise((resolve) => setImmediate(resolve));
  });
});
