import { afterEach, describe, expect, it } from 'vitest';
import { type ErrorCode, FinialError } from '../../common/errors.ts';
import { healthService } from '../../common/rpc/services.ts';
import { type RpcPair, rpcPair } from '../../test/support/rpc-pair.ts';
import { publicHealth } from './health.ts';

let pair: RpcPair | undefined;
afterEach(() => pair?.close());

async function statusWith(probe: (() => Promise<void>) | undefined): Promise<string> {
  pair = await rpcPair([publicHealth(probe)]);
  const { status } = await pair.channel.call(healthService(), 'Check', { service: '' });
  return status;
}

const failing = (code: ErrorCode) => () => Promise.reject(new FinialError(code, 'no'));

describe('an agent', () => {
  it('serves when its Workload API is switched off', async () => {
    expect(await statusWith(undefined)).toBe('SERVING');
  });

  it('serves when its Workload API answers, even that there is no identity', async () => {
    expect(await statusWith(() => Promise.resolve())).toBe('SERVING');
    await pair?.close();
    expect(await statusWith(failing('permission-denied'))).toBe('SERVING');
  });

  it.each<ErrorCode>(['unavailable', 'deadline-exceeded', 'internal'])('does not serve on %s', async (code) => {
    expect(await statusWith(failing(code))).toBe('NOT_SERVING');
  });

  it('has no health of single services', async () => {
    pair = await rpcPair([publicHealth(undefined)]);
    const answer = pair.channel.call(healthService(), 'Check', { service: 'SpiffeWorkloadAPI' });
    await expect(answer).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'per-service health is not supported',
    });
  });
});
