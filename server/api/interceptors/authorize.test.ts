import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entryService } from '../../../common/rpc/services.ts';
import { addNode, type Harness, id, openHarness, remotePeer } from '../../../test/support/server-api.ts';

const entries = entryService();
const agent = id('/spire/agent/test/one');

describe('an agent on each call', () => {
  let harness: Harness;

  beforeEach(async () => {
    harness = await openHarness();
  });

  afterEach(() => harness.close());

  const call = async (certificate: { serialNumber?: string; notAfter?: number } = {}): Promise<unknown> => {
    const channel = await harness.as(remotePeer(agent, certificate));
    return channel.call(entries, 'GetAuthorizedEntries', {}).then(
      () => 'let in',
      (error: unknown) => error,
    );
  };
  const denied = (denial?: string) => ({
    code: 'permission-denied',
    message: 'authorization denied for method /spire.api.server.entry.v1.Entry/GetAuthorizedEntries',
    denial,
  });

  it('is let in with the serial in use', async () => {
    await addNode(harness.store, agent, { serialNumber: '7' });
    expect(await call({ serialNumber: '7' })).toBe('let in');
  });

  it('is told why it is not', async () => {
    expect(await call()).toMatchObject(denied('agent-not-attested'));
    await addNode(harness.store, agent, { serialNumber: '7' });
    expect(await call({ serialNumber: '8' })).toMatchObject(denied('agent-not-active'));
    expect(await call({ serialNumber: '7', notAfter: harness.clock.now() - 1 })).toMatchObject(denied('agent-expired'));
    expect(await call({ serialNumber: '7', notAfter: harness.clock.now() })).toBe('let in');
    await harness.store.nodes.update(agent, { serialNumber: '', newSerialNumber: '' });
    expect(await call({ serialNumber: '7' })).toMatchObject(denied('agent-banned'));
    expect(await call({ serialNumber: '' })).toMatchObject(denied('agent-banned'));
  });

  it('makes its renewed serial the current one by using it', async () => {
    await addNode(harness.store, agent, { serialNumber: '7', canReattest: true });
    await harness.store.nodes.update(agent, { newSerialNumber: '8', newExpiresAt: 99 });
    expect(await call({ serialNumber: '7' })).toBe('let in');
    expect(await call({ serialNumber: '8' })).toBe('let in');
    expect(await harness.store.nodes.get(agent)).toMatchObject({
      serialNumber: '8',
      expiresAt: 99,
      newSerialNumber: '',
      newExpiresAt: 0,
      canReattest: true,
    });
    expect(await call({ serialNumber: '7' })).toMatchObject(denied('agent-not-active'));
  });

  it('without a certificate gets no reason', async () => {
    const channel = await harness.as(remotePeer());
    await expect(channel.call(entries, 'GetAuthorizedEntries', {})).rejects.toMatchObject(denied());
  });

  it('is not let in by a datastore that fails', async () => {
    await harness.store.close();
    expect(await call()).toMatchObject({ code: 'internal', message: 'unable to look up agent information' });
  });
});
