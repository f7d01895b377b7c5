import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FinialError } from '../../../common/errors.ts';
import type { RpcChannel } from '../../../common/rpc/client.ts';
import { agentService } from '../../../common/rpc/services.ts';
import type { ServerNodeAttestor } from '../../../plugins/node-attestor/contract.ts';
import { parseCertificate, spiffeIdOf } from '../../../spiffe/x509/certificate.ts';
import { createCsr } from '../../../spiffe/x509/csr.ts';
import { generateSigner } from '../../../spiffe/x509/key.ts';
import { encodeName } from '../../../spiffe/x509/name.ts';
import { addNode, type Harness, id, localPeer, openHarness, remotePeer } from '../../../test/support/server-api.ts';

const service = agentService();
const one = id('/spire/agent/test/one');
const oneId = { trust_domain: 'example.org', path: '/spire/agent/test/one' };
const signer = await generateSigner('ec-p256');
const csr = await createCsr({ signer, subject: encodeName({}), uris: [] });

/** Lets everybody in whose answer is the question backwards, as often as the payload says. */
const riddle: ServerNodeAttestor = {
  async attest(payload, challenge) {
    for (let round = 0; round < Number(payload.toString()); round += 1) {
      const answer = await challenge(Buffer.from(`ask${round}`));
      if (answer.toString() !== `${round}ksa`) throw new FinialError('permission-denied', 'test(riddle): wrong answer');
    }
    return {
      agentId: one,
      selectors: [
        { type: 'a', value: '1' },
        { type: 'a', value: '1' },
      ],
      canReattest: true,
    };
  },
};

let harness: Harness;
let local: RpcChannel;

beforeEach(async () => {
  const attestors = new Map<string, ServerNodeAttestor>([
    ['riddle', riddle],
    ['broken', { attest: () => Promise.reject(new Error('secret detail')) }],
  ]);
  harness = await openHarness({ attestors, agentIdAsSelector: true });
  local = await harness.as(localPeer);
});

afterEach(() => harness.close());

const failure = (code: string, message: string) => ({ code, message });

describe('agents in listings', () => {
  beforeEach(async () => {
    await addNode(harness.store, one, { serialNumber: '7', expiresAt: 100, selectors: [{ type: 'a', value: '1' }] });
    await addNode(harness.store, id('/spire/agent/test/two'), { attestationType: 'other', canReattest: true });
  });

  it('are shown whole without a mask', async () => {
    const { agents } = await local.call(service, 'ListAgents', { page_size: 1 });
    expect(agents).toEqual([
      {
        id: oneId,
        attestation_type: 'test',
        x509svid_serial_number: '7',
        x509svid_expires_at: '100',
        selectors: [{ type: 'a', value: '1' }],
        banned: false,
        can_reattest: false,
        agent_version: '',
      },
    ]);
  });

  it('keep only the ID and what the mask names', async () => {
    const agent = await local.call(service, 'GetAgent', { id: oneId, output_mask: { x509svid_expires_at: true } });
    expect(agent).toMatchObject({ id: oneId, attestation_type: '', x509svid_expires_at: '100', selectors: [] });
  });

  it('come in pages that end with an empty one', async () => {
    const paths: string[] = [];
    let token = '';
    let pages = 0;
    do {
      const page = await local.call(service, 'ListAgents', { page_size: 1, page_token: token });
      paths.push(...page.agents.map((agent) => agent.id?.path ?? ''));
      token = page.next_page_token;
      pages += 1;
    } while (token !== '');
    expect([paths, pages]).toEqual([['/spire/agent/test/one', '/spire/agent/test/two'], 3]);
  });

  it.each([
    [{ by_attestation_type: 'other' }, 1],
    [{ by_can_reattest: { value: false } }, 1],
    [{ by_banned: { value: true } }, 0],
    [{ by_selector_match: { selectors: [{ type: 'a', value: '1' }], match: 'MATCH_EXACT' } }, 1],
    [{ by_expires_before: '1970-01-01 01:01:41 +0100 +01' }, 1],
    [{ by_expires_before: '1970-01-01 01:01:40 +0100 +01' }, 0],
    [{ by_expires_before: 'tomorrow' }, 2],
    [{}, 2],
  ] as const)('are filtered by %j', async (filter, count) => {
    expect(await local.call(service, 'CountAgents', { filter })).toEqual({ count });
    expect((await local.call(service, 'ListAgents', { filter })).agents).toHaveLength(count);
  });

  it('refuse selectors that are none, without repeating them', async () => {
    const filter = { by_selector_match: { selectors: [{ type: 'a:b', value: 'hush' }] } };
    const refused = failure('invalid-argument', "failed to parse selectors: selector type contains ':'");
    await expect(local.call(service, 'CountAgents', { filter })).rejects.toMatchObject(refused);
    await expect(local.call(service, 'ListAgents', { filter })).rejects.toMatchObject(refused);
    expect(JSON.stringify(harness.lines)).not.toContain('hush');
  });
});

describe('one agent', () => {
  const methods = ['GetAgent', 'DeleteAgent', 'BanAgent'] as const;

  it.each(methods)('%s wants an agent ID of the trust domain that is there', async (method) => {
    const ask = (request: object): Promise<unknown> => local.call(service, method, request);
    const at = (path: string, trust_domain = 'example.org') => ({ id: { trust_domain, path } });
    const invalid = (why: string) => failure('invalid-argument', `invalid agent ID: ${why}`);
    await expect(ask({})).rejects.toMatchObject(invalid('request must specify SPIFFE ID'));
    await expect(ask(at('/x', 'other.org'))).rejects.toMatchObject(
      invalid('"spiffe://other.org/x" is not a member of trust domain "example.org"'),
    );
    await expect(ask(at(''))).rejects.toMatchObject(
      invalid('"spiffe://example.org" is not an agent in trust domain "example.org"; path is empty'),
    );
    await expect(ask(at('/x'))).rejects.toMatchObject(
      invalid(
        '"spiffe://example.org/x" is not an agent in trust domain "example.org"; path is not in the agent namespace',
      ),
    );
    await expect(ask({ id: oneId })).rejects.toMatchObject(failure('not-found', 'agent not found'));
  });

  it('that is banned is shown so, and can neither attest nor come back before it is deleted', async () => {
    await addNode(harness.store, one, { expiresAt: 100 });
    await local.call(service, 'BanAgent', { id: oneId });
    expect(await local.call(service, 'GetAgent', { id: oneId })).toMatchObject({
      banned: true,
      x509svid_expires_at: '100',
    });
    await expect(attest('riddle', '0')).rejects.toMatchObject(
      failure('permission-denied', 'failed to attest: agent is banned'),
    );
    await local.call(service, 'DeleteAgent', { id: oneId });
    await expect(attest('riddle', '0')).resolves.toMatchObject({ reattestable: true });
  });
});

async function attest(
  type: string,
  payload: string,
  answer = (ask: string): string => ask.split('').toReversed().join(''),
) {
  const call = (await harness.as(localPeer)).bidi(service, 'AttestAgent');
  await call.send({ params: { data: { type, payload: Buffer.from(payload) }, params: { csr } } });
  for await (const response of call.responses) {
    if (response.result) return response.result;
    await call.send({ challenge_response: Buffer.from(answer(String(response.challenge))) });
  }
  throw new Error('no result');
}

describe('attestation', () => {
  it('asks as often as the attestor wants, then gives an SVID for the key of the request', async () => {
    const { reattestable, svid } = await attest('riddle', '3');
    const [leaf] = svid?.cert_chain ?? [];
    const certificate = parseCertificate(leaf ?? Buffer.alloc(0));
    expect(spiffeIdOf(certificate)).toBe(one);
    expect(certificate.publicKey.equals(signer.publicKey)).toBe(true);
    expect([reattestable, svid?.id, Number(svid?.expires_at)]).toEqual([true, oneId, certificate.notAfter / 1000]);
    expect(await harness.store.nodes.get(one)).toMatchObject({
      attestationType: 'riddle',
      serialNumber: certificate.serialNumber.toString(),
      canReattest: true,
      selectors: [
        { type: 'a', value: '1' },
        { type: 'spiffe_id', value: one },
      ],
    });
  });

  it('passes on what the attestor says, and nothing of a defect', async () => {
    await expect(attest('riddle', '1', () => 'no')).rejects.toMatchObject(
      failure('permission-denied', 'test(riddle): wrong answer'),
    );
    await expect(attest('broken', 'x')).rejects.toMatchObject(failure('internal', 'internal error'));
    await expect(attest('nobody', 'x')).rejects.toMatchObject(
      failure('failed-precondition', 'error getting node attestor: could not find node attestor type "nobody"'),
    );
    expect(await harness.store.nodes.get(one)).toBeUndefined();
  });

  const data = { type: 'riddle', payload: Buffer.from('0') };
  it.each([
    [{ challenge_response: Buffer.from('x') }, 'malformed param: missing params'],
    [{ params: {} }, 'malformed param: missing attestation data'],
    [{ params: { data: {} } }, 'malformed param: missing X509-SVID parameters'],
    [{ params: { data: {}, params: {} } }, 'malformed param: missing CSR'],
    [{ params: { data: {}, params: { csr } } }, 'malformed param: missing attestation data type'],
    [{ params: { data: { type: 'x' }, params: { csr } } }, 'malformed param: missing attestation data payload'],
    [{ params: { data, params: { csr: Buffer.from('x') } } }, 'failed to parse CSR: '],
  ])('refuses %j', async (request, message) => {
    const call = local.bidi(service, 'AttestAgent');
    await call.send(request);
    const ended = (async () => {
      for await (const _ of call.responses) throw new Error('answered');
    })();
    await expect(ended).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('renewal', () => {
  const renew = async (request: object): Promise<{ svid: { cert_chain: Buffer[] } | null }> =>
    (await harness.as(remotePeer(one))).call(service, 'RenewAgent', request);

  it('notes the new serial beside the old one', async () => {
    await addNode(harness.store, one);
    const { svid } = await renew({ params: { csr } });
    const certificate = parseCertificate(svid?.cert_chain[0] ?? Buffer.alloc(0));
    expect(await harness.store.nodes.get(one)).toMatchObject({
      serialNumber: '1',
      newSerialNumber: certificate.serialNumber.toString(),
      newExpiresAt: certificate.notAfter / 1000,
    });
  });

  it('refuses in the order of the reference', async () => {
    await addNode(harness.store, one, { canReattest: true });
    await expect(renew({})).rejects.toMatchObject({
      ...failure('permission-denied', 'agent must reattest instead of renew'),
      denial: 'agent-must-reattest',
    });
    await addNode(harness.store, one, { canReattest: false });
    await expect(renew({})).rejects.toMatchObject(failure('invalid-argument', 'params cannot be nil'));
    await expect(renew({ params: {} })).rejects.toMatchObject(failure('invalid-argument', 'missing CSR'));
    await expect(renew({ params: { csr: Buffer.from('x') } })).rejects.toMatchObject({
      message: expect.stringMatching(/^failed to parse CSR: /) as string,
    });
  });
});

describe('the status of an agent', () => {
  it('keeps its version', async () => {
    await addNode(harness.store, one);
    const channel = await harness.as(remotePeer(one));
    await channel.call(service, 'PostStatus', { agent_version: '1.15.3' });
    await channel.call(service, 'PostStatus', {});
    expect((await harness.store.nodes.get(one))?.agentVersion).toBe('1.15.3');
    await expect(channel.call(service, 'PostStatus', { agent_version: 'x'.repeat(256) })).rejects.toMatchObject(
      failure('invalid-argument', 'agent version is too long (max 255 characters)'),
    );
  });
});

describe('join tokens', () => {
  it('are random, or as asked for, and expire', async () => {
    const now = Math.floor(harness.clock.now() / 1000);
    const made = await local.call(service, 'CreateJoinToken', { ttl: 60 });
    expect([made.value.length, Number(made.expires_at)]).toEqual([36, now + 60]);
    await local.call(service, 'CreateJoinToken', { ttl: 60, token: 'mine' });
    expect(await harness.store.joinTokens.consume('mine')).toEqual({ expiresAt: now + 60 });
  });

  it('come with an alias of the node', async () => {
    const agent_id = { trust_domain: 'example.org', path: '/nodes/a' };
    await local.call(service, 'CreateJoinToken', { ttl: 60, token: 'mine', agent_id });
    const { entries } = await harness.store.entries.list({});
    const parentId = id('/spire/agent/join_token/mine');
    expect(entries).toMatchObject([
      { spiffeId: id('/nodes/a'), parentId, selectors: [{ type: 'spiffe_id', value: parentId }] },
    ]);
  });

  it('are refused when they make no sense, and stay out of the log', async () => {
    const make = (request: object): Promise<unknown> => local.call(service, 'CreateJoinToken', request);
    await expect(make({})).rejects.toMatchObject(failure('invalid-argument', 'ttl is required, you must provide one'));
    const agent_id = { trust_domain: 'example.org', path: '/spire/agent/x' };
    await expect(make({ ttl: 1, agent_id })).rejects.toMatchObject({
      message:
        'invalid agent ID: "spiffe://example.org/spire/agent/x" is not a workload in trust domain "example.org"; ' +
        'path is in the reserved namespace',
    });
    await make({ ttl: 1, token: 'hush-hush' });
    await expect(make({ ttl: 1, token: 'hush-hush' })).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/^failed to create token: /) as string,
    });
    await expect(make({ ttl: 1, token: 'hush/hush/' })).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(JSON.stringify(harness.lines)).not.toContain('hush');
  });
});
