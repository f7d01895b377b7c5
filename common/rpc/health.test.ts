import { expect, it } from 'vitest';
import { rpcPair } from '../../test/support/rpc-pair.ts';
import { implementHealth } from './health.ts';
import { healthService } from './services.ts';

it('answers for the process as a whole', async () => {
  let healthy = true;
  const pair = await rpcPair([implementHealth(async () => healthy)]);
  const check = (service: string) => pair.channel.call(healthService(), 'Check', { service });
  expect(await check('')).toEqual({ status: 'SERVING' });
  healthy = false;
  expect(await check('')).toEqual({ status: 'NOT_SERVING' });
  await expect(check('spire.api.server.svid.v1.SVID')).rejects.toMatchObject({
    code: 'invalid-argument',
    message: 'per-service health is not supported',
  });
  await expect(pair.channel.call(healthService(), 'List', {})).rejects.toMatchObject({ code: 'unimplemented' });
  await pair.close();
});
