import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../common/clock.ts';
import { silentLogger } from '../../../common/log/logger.ts';
import type { Call, Peer } from '../../../common/rpc/call.ts';
import { localPeer, remotePeer } from '../../../test/support/server-api.ts';
import { stateOf } from '../call-state.ts';
import { identifyCaller } from './caller.ts';
import { limitRate } from './rate-limit.ts';
import { identifyRequest } from './request.ts';
import { Buckets } from './token-bucket.ts';

const attest = '/spire.api.server.agent.v1.Agent/AttestAgent';
const renew = '/spire.api.server.agent.v1.Agent/RenewAgent';
const batch = '/spire.api.server.svid.v1.SVID/BatchNewX509SVID';
const newJwt = '/spire.api.server.svid.v1.SVID/NewJWTSVID';
const list = '/spire.api.server.agent.v1.Agent/ListAgents';

const begin = (enabled = { attestation: true, signing: true }) => {
  const clock = new ManualClock();
  const interceptors = [identifyRequest(silentLogger, () => 'r'), identifyCaller(), limitRate({ clock, enabled })];
  const take = async (method: string, count: number, peer: Peer = remotePeer(), signal = never): Promise<void> => {
    const call: Call = { method, signal, metadata: new Map(), authority: '', peer };
    for (const interceptor of interceptors) await interceptor(call, undefined);
    await stateOf(call).limit(count);
  };
  return { clock, take };
};

const never = new AbortController().signal;

const watch = (work: Promise<void>): { done: boolean } => {
  const seen = { done: false };
  void (async () => {
    await work;
    seen.done = true;
  })();
  return seen;
};

describe('the rate limit', () => {
  it('lets the burst pass at once and makes the next ones wait in order', async () => {
    const { clock, take } = begin();
    await take(attest, 1);
    const second = watch(take(attest, 1));
    await clock.advance(0);
    const third = watch(take(attest, 1));
    await clock.advance(999);
    expect([second.done, third.done]).toEqual([false, false]);
    await clock.advance(1);
    expect([second.done, third.done]).toEqual([true, false]);
    await clock.advance(1000);
    expect(third.done).toBe(true);
  });

  it('refuses who would have to wait for more than five minutes, and forgets about it', async () => {
    const { clock, take } = begin();
    await take(attest, 1);
    const waiting = Array.from({ length: 300 }, () =>
      watch(take(attest, 1, remotePeer(), new AbortController().signal)),
    );
    const refusal = { code: 'resource-exhausted', message: 'too many requests are waiting' };
    await expect(take(attest, 1)).rejects.toMatchObject(refusal);
    await expect(take(attest, 1)).rejects.toMatchObject(refusal);
    await clock.advance(1000);
    const last = watch(take(attest, 1));
    await clock.advance(299_000);
    expect(waiting.every(({ done }) => done)).toBe(true);
    expect(last.done).toBe(false);
    await clock.advance(1000);
    expect(last.done).toBe(true);
  });

  it('is one per address', async () => {
    const { clock, take } = begin();
    await take(attest, 1);
    await take(attest, 1, remotePeer(undefined, { address: '192.0.2.2' }));
    const again = watch(take(attest, 1, remotePeer(undefined, { address: '192.0.2.2' })));
    await clock.advance(500);
    expect(again.done).toBe(false);
    await clock.advance(500);
    expect(again.done).toBe(true);
  });

  it('is shared by the methods that sign certificates, but not by those that sign tokens', async () => {
    const { clock, take } = begin();
    await take(batch, 500);
    await take(newJwt, 1);
    const blocked = watch(take(renew, 1));
    await clock.advance(1);
    expect(blocked.done).toBe(false);
    await clock.advance(1);
    expect(blocked.done).toBe(true);
  });

  it('refuses what can never pass, and takes nothing for it', async () => {
    const { take } = begin();
    await expect(take(batch, 501)).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: 'rate (501) exceeds burst size (500)',
    });
    await take(batch, 500);
  });

  it('gives tokens back when the caller goes away', async () => {
    const { clock, take } = begin();
    await take(batch, 500);
    const leaving = new AbortController();
    const left = take(batch, 500, remotePeer(), leaving.signal);
    await clock.advance(0);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    const next = watch(take(batch, 250));
    await clock.advance(500);
    expect(next.done).toBe(true);
    expect(clock.sleeping).toBe(0);
  });

  it('is not there for local callers, for methods without one, and when switched off', async () => {
    const { clock, take } = begin();
    for (let i = 0; i < 3; i += 1) await take(attest, 1, localPeer);
    for (let i = 0; i < 3; i += 1) await take(list, 1000);
    const off = begin({ attestation: false, signing: false });
    for (let i = 0; i < 3; i += 1) await off.take(attest, 1);
    await off.take(batch, 10_000);
    expect([clock.sleeping, off.clock.sleeping]).toEqual([0, 0]);
  });

  it('forgets an address after one to two minutes of silence', () => {
    const buckets = new Buckets(1, 0);
    const first = buckets.of('a', 0);
    expect(buckets.of('a', 60_000)).toBe(first);
    expect(buckets.of('b', 120_000)).not.toBe(first);
    expect(buckets.of('a', 120_001)).toBe(first);
    buckets.of('b', 180_001);
    buckets.of('b', 240_002);
    expect(buckets.of('a', 240_003)).not.toBe(first);
  });
});
