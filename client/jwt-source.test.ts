import { describe, expect, it } from 'vitest';
import { ManualClock } from '../common/clock.ts';
import { FinialError } from '../common/errors.ts';
import { parseSpiffeId } from '../spiffe/id.ts';
import { createJwtSource } from './jwt-source.ts';
import type { JwtSvid } from './jwt-svids.ts';
import type { JwtBundles } from './source.ts';
import type { StreamListener } from './stream.ts';
import type { JwtSvidRequest, WorkloadApi } from './workload-api.ts';

const ID = parseSpiffeId('spiffe://a.test/x');
const LIFE = 300_000;

/** An agent that issues tokens of five minutes, and does what `answer` says in place of that. */
async function jwtSource(answer: (call: number) => FinialError | 'silent' | undefined = () => undefined) {
  const clock = new ManualClock();
  const calls: JwtSvidRequest[] = [];
  let listener: StreamListener<JwtBundles> | undefined;
  const api = {
    jwtBundles: {
      follow: (given: StreamListener<JwtBundles>, { signal }: { signal: AbortSignal }) =>
        new Promise<void>((resolve) => {
          listener = given;
          signal.addEventListener('abort', () => resolve());
          queueMicrotask(() => given.onUpdate(new Map()));
        }),
    },
    async fetchJwtSvids(request: JwtSvidRequest): Promise<readonly JwtSvid[]> {
      calls.push(request);
      const failure = answer(calls.length);
      await new Promise((resolve) => setImmediate(resolve));
      if (failure === 'silent') await new Promise(() => undefined);
      else if (failure !== undefined) throw failure;
      const { audience, id = ID } = request;
      const times = { issuedAt: clock.now(), expiresAt: clock.now() + LIFE };
      const token = `token ${calls.length}`;
      return ['', 'other'].map((hint) => ({ id, token: token + hint, audience, ...times, hint }));
    },
  } as unknown as WorkloadApi;
  const source = await createJwtSource({ api, clock, random: () => 0.5 });
  return { source, clock, calls, deny: () => listener?.onError?.(new FinialError('permission-denied', 'gone')) };
}

const unavailable = new FinialError('unavailable', 'restarting');

describe('createJwtSource', () => {
  it('asks once for what several want at a time, and then remembers it', async () => {
    const { source, calls } = await jwtSource();
    const tokens = await Promise.all([1, 2, 3].map(() => source.fetch({ audience: ['b', 'a', 'a'] })));
    expect(tokens.map(({ token }) => token)).toEqual(['token 1', 'token 1', 'token 1']);
    expect((await source.fetch({ audience: ['a', 'b'] })).token).toBe('token 1');
    expect(calls).toEqual([{ audience: ['a', 'b'], id: undefined }]);
    expect((await source.fetch({ audience: ['a', 'b'], hint: 'other' })).token).toBe('token 1other');
    await expect(source.fetch({ audience: 'a', hint: 'none' })).rejects.toMatchObject({ code: 'not-found' });
    expect((await source.fetch({ audience: 'a', id: ID })).token).toBe('token 3');
    source.close();
  });

  it('asks again when half of the life is over', async () => {
    const { source, clock, calls } = await jwtSource();
    await source.fetch({ audience: 'a' });
    await clock.advance(LIFE / 2 - 1);
    expect((await source.fetch({ audience: 'a' })).token).toBe('token 1');
    await clock.advance(1);
    expect((await source.fetch({ audience: 'a' })).token).toBe('token 2');
    expect(calls).toHaveLength(2);
    source.close();
  });

  it('goes on with the token it has while the agent is away, asks rarely, and ends with the token', async () => {
    const { source, clock, calls } = await jwtSource((call) =>
      call === 1 ? undefined : new FinialError('internal', ''),
    );
    await source.fetch({ audience: 'a' });
    await clock.advance(LIFE / 2);
    for (let i = 0; i < 10; i += 1) expect((await source.fetch({ audience: 'a' })).token).toBe('token 1');
    expect(calls).toHaveLength(2);
    await clock.advance(LIFE / 2 - 5000);
    await expect(source.fetch({ audience: 'a' })).rejects.toMatchObject({ code: 'internal' });
    source.close();
  });

  it('does not let holders of a good token wait for an agent that keeps silent', async () => {
    const { source, clock } = await jwtSource((call) => (call === 1 ? undefined : 'silent'));
    await source.fetch({ audience: 'a' });
    await clock.advance(LIFE / 2);
    const waiting = source.fetch({ audience: 'a' });
    await clock.advance(500);
    expect((await waiting).token).toBe('token 1');
    expect(clock.sleeping).toBe(0);
    source.close();
  });

  it('bridges a short absence of the agent', async () => {
    const { source, clock, calls } = await jwtSource((call) => (call < 3 ? unavailable : undefined));
    const waiting = source.fetch({ audience: 'a' });
    await clock.advance(1000);
    expect((await waiting).token).toBe('token 3');
    expect(calls).toHaveLength(3);
    source.close();
  });

  it('gives up in time, and forgets the failure', async () => {
    const { source, clock } = await jwtSource((call) => (call < 100 ? unavailable : undefined));
    const waiting = source.fetch({ audience: 'a', timeoutMs: 2000 }).catch((error: unknown) => error);
    await clock.advance(2000);
    expect(await waiting).toMatchObject({ code: 'unavailable' });
    expect(clock.sleeping).toBe(0);
    source.close();
  });

  it('keeps no token that the agent refuses to renew', async () => {
    const { source, clock } = await jwtSource((call) =>
      call === 1 ? undefined : new FinialError('permission-denied', 'no identity issued'),
    );
    await source.fetch({ audience: 'a' });
    await clock.advance(LIFE / 2);
    await expect(source.fetch({ audience: 'a' })).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(source.fetch({ audience: 'a' })).rejects.toMatchObject({ code: 'permission-denied' });
    source.close();
  });

  it('keeps no token when this process lost all its rights', async () => {
    const { source, calls, deny } = await jwtSource();
    await source.fetch({ audience: 'a' });
    deny();
    expect(() => source.jwtBundles).toThrow('gone');
    await source.fetch({ audience: 'a' });
    expect(calls).toHaveLength(2);
    source.close();
    await expect(source.fetch({ audience: 'a' })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it("ends one caller's waiting without that of the others", async () => {
    const { source } = await jwtSource();
    const impatient = new AbortController();
    const [first, second] = [
      source.fetch({ audience: 'a', signal: impatient.signal }),
      source.fetch({ audience: 'a' }),
    ];
    impatient.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    expect((await second).token).toBe('token 1');
    source.close();
  });

  it('remembers a bounded number of audiences', async () => {
    const { source, calls } = await jwtSource();
    for (let i = 0; i <= 1000; i += 1) await source.fetch({ audience: `a${i}` });
    await source.fetch({ audience: 'a1000' });
    expect(calls).toHaveLength(1001);
    await source.fetch({ audience: 'a0' });
    expect(calls).toHaveLength(1002);
    source.close();
  });
});
