import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RpcChannel } from '../../../common/rpc/client.ts';
import { entryService } from '../../../common/rpc/services.ts';
import type { Entry } from '../../../proto/gen/spire/api/types/Entry.ts';
import { addNode, type Harness, id, localPeer, newEntry, openHarness } from '../../../test/support/server-api.ts';

const service = entryService();
const at = (path: string, trust_domain = 'example.org') => ({ trust_domain, path });

/** Everything set, so that nothing can be lost on the way without being missed. */
const whole: Entry = {
  id: 'e1',
  spiffe_id: at('/w'),
  parent_id: at('/spire/agent/a'),
  selectors: [
    { type: 'unix', value: 'uid:1' },
    { type: 'unix', value: 'gid:1' },
  ],
  x509_svid_ttl: 10,
  jwt_svid_ttl: 20,
  admin: true,
  downstream: true,
  expires_at: '4000000000',
  dns_names: ['a.org', '*.b.org'],
  store_svid: false,
  hint: 'web',
  additional_attributes: { disable_x509_svid_prefetch: true, jwt_svid_include_jti: true },
};
const { id: _id, ...plain } = whole;

let harness: Harness;
let local: RpcChannel;

beforeEach(async () => {
  harness = await openHarness();
  local = await harness.as(localPeer);
});

afterEach(() => harness.close());

const create = async (...entries: Entry[]) => (await local.call(service, 'BatchCreateEntry', { entries })).results;
const failure = (code: string, message: string) => ({ code, message });

describe('creation', () => {
  it('keeps every field', async () => {
    const [result] = await create(whole);
    const { created_at: createdAt, ...entry } = result?.entry ?? {};
    expect(result?.status).toEqual({ code: 0, message: 'OK' });
    expect(entry).toEqual({
      ...whole,
      federates_with: [],
      revision_number: '0',
      _additional_attributes: 'additional_attributes',
    });
    expect(Number(createdAt)).toBe(harness.clock.now() / 1000);
    expect(await local.call(service, 'GetEntry', { id: 'e1' })).toEqual(result?.entry);
  });

  it('answers a similar entry with the one that is there', async () => {
    await create(whole);
    const similar = { ...plain, selectors: (whole.selectors ?? []).toReversed(), hint: 'other' };
    const [result] = await create(similar);
    expect(result?.status).toEqual({ code: 6, message: 'similar entry already exists' });
    expect(result?.entry).toMatchObject({ id: 'e1', hint: 'web' });
  });

  it('shows only the ID and what the mask names', async () => {
    const request = { entries: [whole], output_mask: { hint: true } };
    const { results } = await local.call(service, 'BatchCreateEntry', request);
    expect(results[0]?.entry).toMatchObject({ id: 'e1', hint: 'web', spiffe_id: null, selectors: [], admin: false });
  });

  const wrong: [string, Entry][] = [
    ['invalid parent ID: request must specify SPIFFE ID', { ...plain, parent_id: null }],
    [
      'invalid parent ID: "spiffe://other.org/x" is not a member of trust domain "example.org"',
      { ...plain, parent_id: at('/x', 'other.org') },
    ],
    [
      'invalid parent ID: "spiffe://example.org" is not a member of trust domain "example.org"; path is empty',
      { ...plain, parent_id: at('') },
    ],
    [
      'invalid spiffe ID: "spiffe://example.org/spire/server" is not a workload in trust domain "example.org"; ' +
        'path is in the reserved namespace',
      { ...plain, spiffe_id: at('/spire/server') },
    ],
    ['invalid spiffe ID: path cannot contain empty segments', { ...plain, spiffe_id: at('/a//b') }],
    ['invalid DNS name: wildcard must be first label', { ...plain, dns_names: ['a.*.org'] }],
    ['invalid federated trust domain: trust domain is missing', { ...plain, federates_with: [''] }],
    ['selector list is empty', { ...plain, selectors: [] }],
    ['missing selector value', { ...plain, selectors: [{ type: 'a', value: '' }] }],
    ['hint is too long, max length is 1024 characters', { ...plain, hint: 'é'.repeat(513) }],
  ];

  it.each(wrong)('refuses: %s', async (message, entry) => {
    const [result] = await create(entry);
    expect(result).toEqual({ status: { code: 3, message: `failed to convert entry: ${message}` }, entry: null });
  });

  it('judges each entry of a batch by itself', async () => {
    const results = await create({ ...plain, selectors: [] }, whole, { ...plain, id: 'e 2', spiffe_id: at('/x') });
    expect(results.map(({ status }) => status?.code)).toEqual([3, 0, 3]);
    expect(results[2]?.status?.message).toMatch(/^failed to create entry: .*entry ID contains invalid characters$/);
    expect(await local.call(service, 'CountEntries', {})).toEqual({ count: 1 });
  });

  it('accepts the server as parent, which makes an alias', async () => {
    const [result] = await create({ ...plain, parent_id: at('/spire/server') });
    expect(result?.status?.code).toBe(0);
  });
});

describe('update', () => {
  const update = async (entry: Entry, input_mask?: object) => {
    const request = { entries: [entry], ...(input_mask && { input_mask }) };
    return (await local.call(service, 'BatchUpdateEntry', request)).results[0];
  };

  it('changes what the mask names and nothing else', async () => {
    await create(whole);
    const result = await update({ id: 'e1', hint: '', admin: false, expires_at: 1 }, { hint: true, admin: true });
    expect(result?.status).toEqual({ code: 0, message: 'OK' });
    expect(result?.entry).toMatchObject({ hint: '', admin: false, expires_at: '4000000000', revision_number: '1' });
  });

  it('replaces everything without a mask, also what is not in the message', async () => {
    await create(whole);
    const result = await update({
      id: 'e1',
      spiffe_id: at('/v'),
      parent_id: at('/p'),
      selectors: [{ type: 'a', value: 'b' }],
    });
    expect(result?.entry).toMatchObject({ spiffe_id: at('/v'), dns_names: [], hint: '', x509_svid_ttl: 0 });
    expect(result?.entry).not.toHaveProperty('additional_attributes');
  });

  it('checks only the fields that the mask names', async () => {
    await create(whole);
    expect((await update({ id: 'e1', hint: 'x'.repeat(1025) }, { admin: true }))?.status?.code).toBe(0);
    expect((await update({ id: 'e1', hint: 'x'.repeat(1025) }, { hint: true }))?.status).toEqual({
      code: 3,
      message: 'failed to convert entry: hint is too long, max length is 1024 characters',
    });
  });

  it('tells of an entry that is not there', async () => {
    expect((await update({ id: 'none' }, { admin: true }))?.status).toEqual({
      code: 5,
      message: 'failed to update entry',
    });
  });
});

describe('deletion and reading', () => {
  it('answers each ID', async () => {
    await create(whole);
    const { results } = await local.call(service, 'BatchDeleteEntry', { ids: ['', 'e1', 'e1'] });
    expect(results).toEqual([
      { status: { code: 3, message: 'missing entry ID' }, id: '' },
      { status: { code: 0, message: 'OK' }, id: 'e1' },
      { status: { code: 5, message: 'entry not found' }, id: 'e1' },
    ]);
    await expect(local.call(service, 'GetEntry', {})).rejects.toMatchObject(failure('invalid-argument', 'missing ID'));
    await expect(local.call(service, 'GetEntry', { id: 'e1' })).rejects.toMatchObject(
      failure('not-found', 'entry not found'),
    );
  });

  it.each([
    [{ by_spiffe_id: at('/w') }, 1],
    [{ by_parent_id: at('/p') }, 1],
    [{ by_hint: { value: 'web' } }, 1],
    [{ by_hint: { value: '' } }, 2],
    [{ by_downstream: { value: true } }, 1],
    [{ by_downstream: { value: false } }, 2],
    [{ by_selectors: { selectors: [{ type: 'unix', value: 'uid:1' }], match: 'MATCH_SUPERSET' } }, 1],
    [{ by_selectors: { selectors: [{ type: 'a', value: 'b' }] } }, 1],
    [{ by_federates_with: { trust_domains: ['other.org'], match: 'MATCH_ANY' } }, 0],
    [{}, 2],
  ] as const)('filters by %j', async (filter, count) => {
    await create(whole, { spiffe_id: at('/v'), parent_id: at('/p'), selectors: [{ type: 'a', value: 'b' }] });
    expect(await local.call(service, 'CountEntries', { filter })).toEqual({ count });
    expect((await local.call(service, 'ListEntries', { filter })).entries).toHaveLength(count);
  });

  it.each([
    [{ by_spiffe_id: at('/spire/x') }, 'malformed SPIFFE ID filter: '],
    [{ by_parent_id: at('') }, 'malformed parent ID filter: '],
    [{ by_selectors: {} }, 'malformed selectors filter: empty selector set'],
    [{ by_selectors: { selectors: [{ type: '' }] } }, 'malformed selectors filter: missing selector type'],
    [{ by_federates_with: {} }, 'malformed federates with filter: empty trust domain set'],
    [{ by_federates_with: { trust_domains: ['A'] } }, 'malformed federates with filter: trust domain characters'],
  ])('refuses the filter %j', async (filter, message) => {
    for (const method of ['ListEntries', 'CountEntries'] as const) {
      await expect(local.call(service, method, { filter })).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining(message) as string,
      });
    }
  });

  it('comes in pages that end with an empty one', async () => {
    await create(whole, { ...plain, spiffe_id: at('/v') });
    const first = await local.call(service, 'ListEntries', { page_size: 2 });
    const second = await local.call(service, 'ListEntries', { page_size: 2, page_token: first.next_page_token });
    expect([first.entries.length, second.entries.length, second.next_page_token]).toEqual([2, 0, '']);
    await expect(local.call(service, 'ListEntries', { page_size: 1, page_token: 'x' })).rejects.toMatchObject(
      failure('internal', "failed to list entries: could not parse token 'x'"),
    );
  });
});

describe('the audit log', () => {
  it('names each item and how it ended, but no selectors', async () => {
    const audited = await openHarness({ auditLog: true });
    try {
      const channel = await audited.as({ transport: 'tcp', address: '192.0.2.1', port: 5, certificate: undefined });
      await expect(channel.call(service, 'CountEntries', {})).rejects.toMatchObject({ code: 'permission-denied' });
      await addNode(audited.store, id('/spire/agent/a'));
      await audited.store.entries.create(newEntry({ spiffeId: id('/admin'), admin: true }));
      const certificate = { id: id('/admin'), chain: [], serialNumber: '1', notAfter: 0 };
      const admin = await audited.as({ transport: 'tcp', address: '192.0.2.1', port: 5, certificate });
      await admin.call(service, 'BatchCreateEntry', { entries: [whole, { ...whole, id: 'a b', spiffe_id: at('/x') }] });
      await admin.call(service, 'ListEntries', { filter: { by_selectors: { selectors: whole.selectors ?? [] } } });
      const lines = audited.lines.filter(({ fields }) => fields['type'] === 'audit').map(({ fields }) => fields);
      expect(lines).toMatchObject([
        { method: 'BatchCreateEntry', status: 'success', entry_id: 'e1', spiffe_id: 'spiffe://example.org/w' },
        { method: 'BatchCreateEntry', status: 'error', status_code: 'InvalidArgument', entry_id: 'a b' },
        { method: 'ListEntries', status: 'success', by_selector_match: 'MATCH_EXACT' },
      ]);
      expect(lines[0]).toMatchObject({
        authorized_as: 'admin',
        authorized_via: 'entries',
        caller_addr: '192.0.2.1:5',
        caller_id: id('/admin'),
        service: 'entry.v1.Entry',
      });
      expect(JSON.stringify(audited.lines)).not.toContain('uid:1');
    } finally {
      await audited.close();
    }
  });
});
