import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Peer } from '../../common/rpc/call.ts';
import type { FinialError } from '../../common/errors.ts';
import { loadService } from '../../common/rpc/service.ts';
import { healthService } from '../../common/rpc/services.ts';
import {
  addNode,
  type Harness,
  id,
  localPeer,
  newEntry,
  openHarness,
  remotePeer,
} from '../../test/support/server-api.ts';
import { policy } from './policy.ts';

const served = [
  ...(['agent', 'bundle', 'entry', 'svid'] as const).map((name) => {
    const service = { agent: 'Agent', bundle: 'Bundle', entry: 'Entry', svid: 'SVID' }[name];
    return loadService<Record<string, never>>(
      `spire/api/server/${name}/v1/${name}.proto`,
      `spire.api.server.${name}.v1.${service}`,
    );
  }),
  loadService<Record<string, never>>('finial/agent/v1/changes.proto', 'finial.agent.v1.Changes'),
];

const operators = ['local', 'admin by configuration', 'admin by entry'];
const everybody = [...operators, 'agent', 'downstream', 'workload', 'anonymous'];

/** Written out, so that a change of the table has to be made twice. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'Agent/CountAgents': operators,
  'Agent/ListAgents': operators,
  'Agent/GetAgent': operators,
  'Agent/DeleteAgent': operators,
  'Agent/BanAgent': operators,
  'Agent/AttestAgent': everybody,
  'Agent/RenewAgent': ['agent'],
  'Agent/CreateJoinToken': operators,
  'Agent/PostStatus': ['agent'],
  'Bundle/GetBundle': everybody,
  'Bundle/CountBundles': operators,
  'Bundle/AppendBundle': operators,
  'Entry/CountEntries': operators,
  'Entry/ListEntries': operators,
  'Entry/GetEntry': operators,
  'Entry/BatchCreateEntry': operators,
  'Entry/BatchUpdateEntry': operators,
  'Entry/BatchDeleteEntry': operators,
  'Entry/GetAuthorizedEntries': ['agent'],
  'Entry/SyncAuthorizedEntries': ['agent'],
  'SVID/MintX509SVID': operators,
  'SVID/MintJWTSVID': operators,
  'SVID/MintWITSVID': operators,
  'SVID/BatchNewX509SVID': ['agent'],
  'SVID/NewJWTSVID': ['agent'],
  'Changes/Watch': ['agent'],
  'Health/Check': ['local'],
};

/** Methods without a handler answer Unimplemented before anybody is asked for. */
const unserved = [
  'Bundle/PublishJWTAuthority',
  'Bundle/PublishWITAuthority',
  'Bundle/ListFederatedBundles',
  'Bundle/GetFederatedBundle',
  'Bundle/BatchCreateFederatedBundle',
  'Bundle/BatchUpdateFederatedBundle',
  'Bundle/BatchSetFederatedBundle',
  'Bundle/BatchDeleteFederatedBundle',
  'SVID/BatchNewWITSVID',
  'SVID/NewDownstreamX509CA',
  'Health/List',
  'Health/Watch',
];

const callers: Readonly<Record<string, Peer>> = {
  local: localPeer,
  'admin by configuration': remotePeer(id('spiffe://other.org/admin')),
  'admin by entry': remotePeer(id('/admin')),
  agent: remotePeer(id('/spire/agent/test/one')),
  downstream: remotePeer(id('/downstream')),
  workload: remotePeer(id('/workload')),
  anonymous: remotePeer(),
};

const short = (method: string): string => method.replace(/^\/.*\./, '');

describe('the policy table', () => {
  it('has a row for each method of each service that is served', () => {
    const methods = [...served, healthService()].flatMap((service) =>
      Object.keys(service.methods).map((method) => `/${service.name}/${method}`),
    );
    expect(Object.keys(policy).sort()).toEqual(methods.sort());
    expect([...Object.keys(expected), ...unserved].sort()).toEqual(methods.map(short).sort());
  });
});

describe('who may call what', () => {
  let harness: Harness;

  beforeAll(async () => {
    harness = await openHarness({
      adminIds: [id('spiffe://other.org/admin')],
      // All callers come from one address, and nobody moves the clock.
      rateLimit: { attestation: false, signing: false },
    });
    const { store } = harness;
    await addNode(store, id('/spire/agent/test/one'));
    await store.entries.create(newEntry({ spiffeId: id('/admin'), admin: true }));
    await store.entries.create(newEntry({ spiffeId: id('/downstream'), downstream: true }));
    await store.entries.create(newEntry({ spiffeId: id('/workload') }));
  });

  afterAll(() => harness.close());

  const outcome = async (caller: string, method: string): Promise<FinialError | undefined> => {
    const channel = await harness.as(callers[caller] ?? localPeer);
    const [serviceName = '', name = ''] = method.split('/');
    const service = [...served, healthService()].find((one) => one.name.endsWith(`.${serviceName}`));
    if (service === undefined) throw new Error(`no service ${serviceName}`);
    const { requestStream = false, responseStream = false } = service.methods[name] ?? {};
    try {
      if (responseStream && !requestStream) {
        for await (const _ of channel.serverStream(service as (typeof served)[number], name, {} as never)) break;
      } else if (!requestStream) await channel.call(service as (typeof served)[number], name, {} as never);
      else {
        const call = channel.bidi(service as (typeof served)[number], name);
        await call.send({ ids: ['x'] } as never).catch(() => undefined);
        for await (const _ of call.responses) break;
      }
      return undefined;
    } catch (error) {
      return error as FinialError;
    } finally {
      channel.close();
    }
  };

  const matrix = Object.keys(expected).flatMap((method) => everybody.map((caller) => [caller, method] as const));

  it.each(matrix)('%s calls %s', async (caller, method) => {
    const error = await outcome(caller, method);
    const denied = error?.code === 'permission-denied' && /^authorization denied for method \/.+\//.test(error.message);
    expect(!denied).toBe(expected[method]?.includes(caller) ?? false);
    if (denied) expect(error?.message).toContain(method);
  });

  it.each(unserved)('%s answers Unimplemented', async (method) => {
    expect((await outcome('local', method))?.code).toBe('unimplemented');
  });
});
