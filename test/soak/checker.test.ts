import { describe, expect, it } from 'vitest';
import type { Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';
import { issueCa, issueSvid, TEST_NOW } from '../support/pki.ts';
import { newHistory } from './history.ts';
import { hasCode } from '../../common/errors.ts';
import { newRandom } from '../fuzz/random.ts';
import { checkAgents, checkTokens, type Tokens } from './nodes.ts';
import { agentIdOf } from './node.ts';
import type { Admin, ListedAgent } from './admin.ts';
import { lateStream } from './workloads.ts';
import { checkEntries, contentOf, newLedger, settle } from './ledger.ts';
import type { ServerFiles } from './on-disk.ts';
import { judgedAt, newSightings } from './sightings.ts';
import { emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import type { AuthorityStatus, TokenKeyRecord } from '../../server/ca/journal/record.ts';

// A checker that finds nothing is worth something only when it finds what was planted.

const entry = (path: string, more: Partial<Entry__Output> = {}): Entry__Output => ({
  id: `id of ${path}`,
  spiffe_id: { trust_domain: 'example.org', path },
  parent_id: { trust_domain: 'example.org', path: '/parent' },
  selectors: [
    { type: 'a', value: '1' },
    { type: 'b', value: '2' },
  ],
  x509_svid_ttl: 0,
  federates_with: [],
  admin: false,
  downstream: false,
  expires_at: '0',
  dns_names: [],
  revision_number: '3',
  store_svid: false,
  jwt_svid_ttl: 0,
  hint: '',
  created_at: '1',
  ...more,
});

const ledgerOf = (...entries: readonly Entry__Output[]) => {
  const ledger = newLedger();
  for (const one of entries) ledger.acknowledged(one.spiffe_id?.path ?? '', one);
  return ledger;
};

describe('the checker of entries', () => {
  const one = entry('/one');

  it('is content with what was acknowledged, in whatever order of selectors', () => {
    expect(checkEntries(ledgerOf(one), [{ ...one, selectors: one.selectors.toReversed() }])).toEqual([]);
  });

  it.each([
    ['a lost entry', [], /^lost: an acknowledged entry is not there: \/one$/],
    ['a changed hint', [{ ...one, hint: 'x' }], /^lost: .* differently: hint: \/one$/],
    ['a lost selector', [{ ...one, selectors: one.selectors.slice(1) }], /differently: selectors/],
    ['a revision that went back', [{ ...one, revision_number: '2' }], /differently: revision_number/],
    ['a new time of creation', [{ ...one, created_at: '2' }], /differently: created_at/],
    ['a doubled entry', [one, { ...one, id: 'other' }], /^doubled: \/one is registered as/],
    ['an ID that is there twice', [one, entry('/two', { id: one.id })], /^doubled: the ID/],
    ['an entry of nobody', [one, entry('/two')], /^from nowhere: \/two/],
  ])('finds %s', (_what, listed, finding) => {
    expect(checkEntries(ledgerOf(one), listed).join('\n')).toMatch(new RegExp(finding, 'm'));
  });

  it('finds an entry that came back after its delete was acknowledged', () => {
    const ledger = ledgerOf(one);
    ledger.acknowledgedDelete('/one');
    expect(checkEntries(ledger, [])).toEqual([]);
    expect(checkEntries(ledger, [one])).toEqual([expect.stringMatching(/^undone: /)]);
  });

  it('lets an unanswered update have happened or not, but not by half, and holds to what it read', () => {
    const ledger = ledgerOf(one);
    const updated = { ...one, hint: 'new', dns_names: ['new.test'], revision_number: '4' };
    ledger.unanswered('/one', contentOf(updated));
    expect(checkEntries(ledger, [one])).toEqual([]);
    expect(checkEntries(ledger, [updated])).toEqual([]);
    expect(checkEntries(ledger, [{ ...updated, dns_names: [] }])).toEqual([expect.stringMatching(/^lost: /)]);
    expect(checkEntries(ledger, [{ ...updated, revision_number: '5' }])).toEqual([expect.stringMatching(/revision/)]);
    expect(checkEntries(ledger, [])).toEqual([expect.stringMatching(/^lost: /)]);
    settle(ledger, [updated]);
    expect(checkEntries(ledger, [one])).toEqual([expect.stringMatching(/^lost: /)]);
  });

  it('lets an unanswered delete or create have happened or not', () => {
    const ledger = ledgerOf(one);
    ledger.unanswered('/one', undefined);
    ledger.unanswered('/two', contentOf(entry('/two')));
    expect(checkEntries(ledger, [])).toEqual([]);
    expect(checkEntries(ledger, [one, entry('/two', { id: 'any', revision_number: '0' })])).toEqual([]);
    expect(checkEntries(ledger, [one, entry('/two', { hint: 'else' })])).toEqual([expect.stringMatching(/^undone: /)]);
  });
});

describe('the checker of certificates', () => {
  const ca = issueCa();
  const now = TEST_NOW;
  const id = 'spiffe://example.org/a';

  it('finds one serial on two certificates, and a chain that no bundle verifies', async () => {
    const sightings = newSightings();
    const first = issueSvid(ca, id, { serialNumber: 7n });
    expect(sightings.x509('one', [first.der], now, [ca.der])).toEqual([]);
    expect(sightings.x509('two', [first.der], now, [ca.der])).toEqual([]);
    expect(sightings.x509('three', [issueSvid(ca, id, { serialNumber: 7n }).der], now, [ca.der])).toEqual([
      expect.stringMatching(/^doubled: three: serial 7/),
    ]);
    const other = issueCa();
    expect(sightings.x509('four', [issueSvid(other, id).der], now, [ca.der])).toEqual([
      expect.stringMatching(/does not verify an X509-SVID/),
    ]);
    const bundle = emptyBundle(parseTrustDomain('example.org'));
    const judged = await sightings.judge({ ...bundle, x509Authorities: [{ certificate: ca.der, tainted: false }] });
    expect(judged).toEqual([expect.stringMatching(/^four: /)]);
    sightings.jwt('five', 'a.b.c', 'audience', now);
    expect(await sightings.judge(bundle)).toEqual([expect.stringMatching(/^five: .* JWT-SVID/)]);
  });
});

describe('the moment by which an answer is judged', () => {
  const now = Date.now();

  it.each([
    ['on its way when it ran out', now - 60_000, now - 30_000, now - 30_000],
    ['run out before it was asked for', now - 30_000, now - 60_000, now - 30_000],
  ])('%s', (_what, asked, notAfter, moment) => {
    expect(judgedAt(asked, notAfter)).toBe(moment);
  });

  it('is the present for what is still valid', () => {
    const moment = judgedAt(now - 1000, now + 60_000);
    expect(moment).toBeGreaterThanOrEqual(now);
    expect(moment).toBeLessThan(now + 60_000);
  });
});

describe('the checker of rotations', () => {
  const HOUR = 3600;
  const key = (keyId: string, slotId: string, status: AuthorityStatus, issuedAt: number): TokenKeyRecord => ({
    ...{ keyId, authorityId: keyId, slotId, status, issuedAt, notAfter: issuedAt + 24 * HOUR },
    publicKey: Buffer.from(keyId),
  });
  const filesOf = (
    jwt: readonly TokenKeyRecord[],
    { at = 0, bundled = jwt.map(({ keyId }) => keyId), keys = jwt.slice(-2) } = {},
  ): ServerFiles => ({
    at: at * 1000,
    bundle: {
      ...emptyBundle(parseTrustDomain('example.org')),
      jwtAuthorities: bundled.map((keyId) => ({
        ...{ keyId, publicKey: Buffer.from(keyId), expiresAt: 0, tainted: false },
      })),
    },
    journals: [{ x509: [], jwt, wit: [] }],
    keys: new Map(keys.map(({ slotId, publicKey }) => [`JWT-Signer-${slotId}`, publicKey])),
    nodes: new Map(),
    findings: [],
  });
  const first = key('one', 'A', 'active', 0);
  const prepared = key('two', 'B', 'prepared', 12 * HOUR + 1);
  const rotated = [key('one', 'A', 'old', 0), key('two', 'B', 'active', 12 * HOUR + 1)];

  it('is content with a rotation in its time', () => {
    const history = newHistory();
    const looks = [
      filesOf([first]),
      filesOf([first, prepared], { at: 13 * HOUR }),
      filesOf(rotated, { at: 21 * HOUR }),
    ];
    expect(looks.flatMap((files) => history.look(files))).toEqual([]);
    expect(history.rotations).toEqual({ x509: 0, jwt: 1 });
  });

  it.each<[string, ServerFiles, RegExp]>([
    ['a key that nothing explains', filesOf([first], { bundled: ['one', 'x'] }), /^unexplained: .* in no journal/],
    ['one made too early', filesOf([first, key('two', 'B', 'prepared', 6 * HOUR)]), /made before its predecessor/],
    ['one lost from the bundle', filesOf([first], { bundled: [] }), /^lost: a JWT key went from the bundle/],
    ['one that is twice in the bundle', filesOf([first], { bundled: ['one', 'one'] }), /^doubled: .* twice in/],
    ['two active', filesOf([first, key('two', 'B', 'active', 13 * HOUR)]), /^doubled: 2 active/],
    ['a rotation before its time', filesOf(rotated, { at: 14 * HOUR }), /took over .* before it was due/],
    ['a step back', filesOf([key('one', 'A', 'prepared', 0)]), /^repeated: .* went back from active to prepared/],
    ['an authority made anew', filesOf([key('one', 'A', 'active', 5)]), /^repeated: .* made anew/],
    ['a lost private key', filesOf([first], { keys: [] }), /^lost: keys.json has not the key/],
    [
      'a second journal',
      { ...filesOf([first]), journals: [...filesOf([first]).journals, ...filesOf([]).journals] },
      /^doubled: 2 journals/,
    ],
    ['a damaged database', { ...filesOf([first]), findings: ['the database is damaged: x'] }, /damaged/],
  ])('finds %s', (_what, files, finding) => {
    const history = newHistory();
    expect(history.look(filesOf([first]))).toEqual([]);
    expect(history.look(files).join('\n')).toMatch(new RegExp(finding, 'm'));
  });
});

describe('the checker of nodes', () => {
  const tokens: Tokens = {
    ...{ used: new Set(['used']), unused: new Set(['unused']) },
    ...{ unanswered: new Set(), given: new Set(), spent: new Set() },
  };
  const check = (...names: readonly string[]): Promise<string[]> => {
    const agents = names.map((name) => ({ id: agentIdOf(name), serial: '1' }));
    return checkAgents({
      tokens,
      sightings: newSightings(),
      admin: { agents: async () => agents } as unknown as Admin,
    });
  };

  it('finds agents that are lost, doubled or of nobody', async () => {
    expect(await check('used')).toEqual([]);
    expect(await check()).toEqual([expect.stringMatching(/^lost: the agent/)]);
    expect(await check('used', 'used')).toEqual([expect.stringMatching(/^doubled: an agent/)]);
    expect(await check('used', 'unused')).toEqual([expect.stringMatching(/^from nowhere: an agent/)]);
  });
});

describe('the checker of join tokens', () => {
  it('takes no answer for neither yes nor no', async () => {
    const bundle = { ...emptyBundle(parseTrustDomain('example.org')) };
    const roots = [{ certificate: issueCa().der, tainted: false }];
    const tokens: Tokens = {
      ...{ used: new Set(['used']), unused: new Set<string>() },
      ...{ unanswered: new Set(['doubtful']), given: new Set<string>(), spent: new Set<string>() },
    };
    const findings = await checkTokens({
      ...{ tokens, random: newRandom(1, 'tokens') },
      admin: { bundle: async () => ({ ...bundle, x509Authorities: roots }) } as unknown as Admin,
      // Nobody listens there.
      site: { port: 1, isOutage: (error) => hasCode(error, 'unavailable') },
    });
    expect(findings).toEqual([]);
    expect([[...tokens.unanswered], [...tokens.spent]]).toEqual([['doubtful'], []]);
  });
});

describe('the checker of serial numbers', () => {
  const ca = issueCa();
  const id = agentIdOf('used');
  const tokens: Tokens = {
    used: new Set(['used']),
    unused: new Set(),
    unanswered: new Set(),
    given: new Set(),
    spent: new Set(),
  };
  const sightings = newSightings();
  for (const serialNumber of [10n, 255n, 12n]) {
    sightings.x509('agent', [issueSvid(ca, id, { serialNumber }).der], TEST_NOW, [ca.der]);
  }
  const holding = (serial: string): Promise<string[]> =>
    checkAgents({ tokens, sightings, admin: { agents: async () => [{ id, serial }] } as unknown as Admin });

  it('is content with the last one, and with the one before while the last may not have been used', async () => {
    expect([...(await holding('12')), ...(await holding('255'))]).toEqual([]);
  });

  it('finds a renewal that the server forgot, and one that it made up', async () => {
    expect(await holding('10')).toEqual([expect.stringMatching(/^lost: the server holds an old serial number/)]);
    expect(await holding('13')).toEqual([expect.stringMatching(/^from nowhere: the server holds a serial number/)]);
    // Hexadecimal is another number.
    expect(await holding('ff')).toEqual([expect.stringMatching(/^from nowhere/)]);
  });

  it('has nothing to hold against an agent that was never answered', async () => {
    const agents = async (): Promise<ListedAgent[]> => [{ id: agentIdOf('spent'), serial: '7' }];
    const unanswered: Tokens = { ...tokens, used: new Set(), spent: new Set(['spent']) };
    expect(await checkAgents({ tokens: unanswered, sightings, admin: { agents } as unknown as Admin })).toEqual([]);
  });
});

describe('the checker of streams', () => {
  const stream = { updatedAt: 100, updates: 1, heldUntil: Infinity, authorities: 1 };
  const svids = { ...stream, name: 'svids', canary: 4 };
  const bundles = { ...stream, name: 'bundles', canary: -1 };

  it('finds one that has not seen the last change, or said nothing since a start', () => {
    expect(lateStream([svids, bundles], { canary: 4, since: 100 })).toBeUndefined();
    expect(lateStream([svids, bundles], { canary: 5, since: 100 })).toBe(svids);
    expect(lateStream([{ ...svids, updatedAt: 101 }, bundles], { canary: 4, since: 101 })).toBe(bundles);
    expect(lateStream([{ ...svids, canary: -1, updatedAt: 0 }], { canary: 1, since: 1 })?.name).toBe('svids');
  });
});
