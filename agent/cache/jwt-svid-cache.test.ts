import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { type ErrorCode, FinialError } from '../../common/errors.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import type { AgentEntry, SignedJwtSvid } from '../server-client/contract.ts';
import { createJwtSvidCache, type JwtSvidCacheOptions } from './jwt-svid-cache.ts';

const LIFETIME = 300;

function entryOf(path: string, id = path): AgentEntry {
  return {
    id,
    spiffeId: parseSpiffeId(`spiffe://example.org/${path}`),
    selectors: [{ type: 'u', value: '1' }],
    federatesWith: [],
    admin: false,
    downstream: false,
    revisionNumber: 0,
    storeSvid: false,
    hint: '',
    createdAt: 1,
  };
}
const entry = entryOf('w');

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A cache over a server that counts what it signs. Each token differs from the one before. */
function world(options: Partial<JwtSvidCacheOptions> = {}) {
  const clock = new ManualClock();
  const state = {
    asked: [] as { entryId: string; audience: readonly string[]; aborted: boolean }[],
    refuse: undefined as unknown,
    keyId: 'key-1',
    hold: undefined as Promise<void> | undefined,
    change: (svid: SignedJwtSvid): SignedJwtSvid => svid,
  };
  const signJwtSvid = async (
    entryId: string,
    audience: readonly string[],
    signal: AbortSignal,
  ): Promise<SignedJwtSvid> => {
    const call = { entryId, audience, aborted: false };
    signal.addEventListener('abort', () => (call.aborted = true));
    state.asked.push(call);
    await state.hold;
    if (state.refuse !== undefined) throw state.refuse;
    const issuedAt = Math.floor(clock.now() / 1000);
    const expiresAt = issuedAt + LIFETIME;
    const head = base64({ alg: 'ES256', kid: state.keyId });
    const payload = base64({ sub: entry.spiffeId, aud: audience, exp: expiresAt, jti: String(state.asked.length) });
    return state.change({ id: entry.spiffeId, token: `${head}.${payload}.AA`, issuedAt, expiresAt });
  };
  const cache = createJwtSvidCache({
    client: { signJwtSvid },
    clock,
    random: () => 0.5,
    log: silentLogger,
    ...options,
  });
  return {
    cache,
    clock,
    state,
    get: (...audience: string[]) => cache.get(entry, audience, new AbortController().signal),
  };
}

const failure = (code: ErrorCode): FinialError => new FinialError(code, `no: ${code}`);

/** What a promise fails with, to be looked at later. */
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('the cache of JWT-SVIDs', () => {
  it('asks the server once until half of the lifetime is over', async () => {
    const { clock, get, state } = world();
    const first = await get('a');
    await clock.advance((LIFETIME / 2 - 1) * 1000);
    expect(await get('a')).toBe(first);
    await clock.advance(1000);
    expect((await get('a')).token).not.toBe(first.token);
    expect(state.asked).toHaveLength(2);
  });

  it('asks for another when the clock was set back to before the token, but once', async () => {
    const { clock, get, state } = world();
    const first = await get('a');
    clock.jump(clock.now() - 40 * 60_000);
    const second = await get('a');
    expect(second.issuedAt).toBe(first.issuedAt - 40 * 60);
    expect(await get('a')).toBe(second);
    expect(state.asked).toHaveLength(2);
  });

  it('hands out the token from the future while the server does not answer', async () => {
    const { clock, get, state } = world();
    const first = await get('a');
    clock.jump(clock.now() - 40 * 60_000);
    state.refuse = failure('unknown');
    expect(await get('a')).toBe(first);
  });

  it('does not ask at each call when the clock of the server is ahead', async () => {
    const ahead = (svid: SignedJwtSvid) => ({
      ...svid,
      issuedAt: svid.issuedAt + 300,
      expiresAt: svid.expiresAt + 300,
    });
    const { get, state } = world();
    state.change = ahead;
    const first = await get('a');
    expect(await get('a')).toBe(first);
    expect(state.asked).toHaveLength(1);
  });

  it('tells identities and audiences apart, but not the order of audiences', async () => {
    const { cache, get, state } = world();
    const first = await get('a', 'b');
    expect(await get('b', 'a')).toBe(first);
    await get('a');
    await get('a,b');
    await get('ab');
    expect(state.asked).toHaveLength(4);
    const twin = await cache.get(entryOf('w', 'other-entry'), ['a', 'b'], new AbortController().signal);
    expect(twin).toBe(first);
  });

  it('makes one call for all who ask at the same time, and each of them may leave', async () => {
    const { cache, state } = world();
    let release: () => void = () => undefined;
    state.hold = new Promise((resolve) => (release = resolve));
    const leaving = new AbortController();
    const left = cache.get(entry, ['a'], leaving.signal);
    const stayed = [1, 2, 3].map(() => cache.get(entry, ['a'], new AbortController().signal));
    leaving.abort(failure('cancelled'));
    await expect(left).rejects.toThrow('no: cancelled');
    release();
    expect(new Set(await Promise.all(stayed)).size).toBe(1);
    expect(state.asked).toHaveLength(1);
  });

  it('drops the longest unused token when it is full', async () => {
    const { cache, get, state } = world({ maxTokens: 2 });
    await get('a');
    await get('b');
    await get('a');
    await get('c');
    expect(cache.size).toBe(2);
    await get('a');
    expect(state.asked).toHaveLength(3);
    await get('b');
    expect(state.asked).toHaveLength(4);
  });

  it('forgets what a distrusted key signed, also when it comes in later', async () => {
    const { cache, get, state } = world();
    await get('a');
    state.keyId = 'key-2';
    await get('b');
    cache.removeSignedBy('key-1');
    expect(cache.size).toBe(1);
    state.keyId = 'key-1';
    await get('a');
    expect(cache.size).toBe(1);
  });
});

describe('a server that does not sign', () => {
  it('is asked again with growing pauses, for half a minute', async () => {
    const { clock, get, state } = world();
    state.refuse = failure('unavailable');
    const error = errorOf(get('a'));
    await clock.advance(29_000);
    const calls = state.asked.length;
    expect(calls).toBeGreaterThan(3);
    await clock.advance(1000);
    expect(await error).toMatchObject({ message: 'no: unavailable' });
    await clock.advance(60_000);
    expect(state.asked.length).toBeLessThanOrEqual(calls + 1);
    expect(clock.sleeping).toBe(0);
  });

  it('may come back in time', async () => {
    const { clock, get, state } = world();
    state.refuse = failure('permission-denied');
    const token = get('a');
    await clock.advance(3000);
    state.refuse = undefined;
    await clock.advance(5000);
    expect((await token).expiresAt).toBeGreaterThan(0);
  });

  it.each<ErrorCode>(['invalid-argument', 'unimplemented', 'unknown', 'deadline-exceeded', 'cancelled'])(
    'is not asked again after %s',
    async (code) => {
      const { get, state } = world();
      state.refuse = failure(code);
      await expect(get('a')).rejects.toMatchObject({ code });
      expect(state.asked).toHaveLength(1);
    },
  );

  it('that hangs is given up, and told so', async () => {
    const { clock, get, state } = world();
    state.hold = new Promise(() => undefined);
    const error = errorOf(get('a'));
    await clock.advance(30_000);
    expect(await error).toMatchObject({ code: 'deadline-exceeded' });
    expect(state.asked.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('holds up nobody who ends', async () => {
    const { cache, clock, get, state } = world();
    state.refuse = failure('unavailable');
    const error = errorOf(get('a'));
    await clock.advance(2000);
    cache.close();
    expect(await error).toMatchObject({ code: 'unavailable' });
    await clock.advance(0);
    expect(clock.sleeping).toBe(0);
    const calls = state.asked.length;
    await expect(get('b')).rejects.toMatchObject({ code: 'unavailable' });
    await clock.advance(60_000);
    expect(state.asked.length).toBeLessThanOrEqual(calls + 1);
  });

  it('costs nobody a token that is still valid', async () => {
    const { clock, get, state } = world({ cacheHitTimeoutMs: 5000 });
    const first = await get('a');
    await clock.advance(200_000);
    state.refuse = failure('unavailable');
    const again = get('a');
    await clock.advance(5000);
    expect(await again).toBe(first);
    state.refuse = undefined;
    expect(await get('a')).not.toBe(first);
  });

  it('is named when the token has expired', async () => {
    const { clock, get, state } = world();
    await get('a');
    await clock.advance((LIFETIME + 1) * 1000);
    state.refuse = failure('invalid-argument');
    await expect(get('a')).rejects.toThrow(
      'unable to renew JWT for "spiffe://example.org/w" (err=no: invalid-argument)',
    );
  });
});

describe('an answer of the server', () => {
  it.each<[string, Partial<SignedJwtSvid>]>([
    ['for another identity', { id: parseSpiffeId('spiffe://example.org/admin') }],
    ['without a token', { token: '' }],
    ['that was never issued', { issuedAt: 0 }],
    ['that never expires', { expiresAt: 0 }],
    ['that expires before it is issued', { issuedAt: 20, expiresAt: 10 }],
  ])('%s is not passed on', async (_what, wrong) => {
    const { cache, clock, get, state } = world();
    state.change = (svid) => ({ ...svid, ...wrong });
    const error = errorOf(get('a'));
    await clock.advance(30_000);
    expect(await error).toMatchObject({ code: 'internal' });
    expect(cache.size).toBe(0);
  });
});
