import { describe, expect } from 'vitest';
import { emptyBundle, type Bundle } from '../../spiffe/bundle/bundle.ts';
import { bundleMapToJson, readBundleMap } from '../../spiffe/bundle/bundle-map.ts';
import { type BundleSet, bundleOf, bundleSet } from '../../spiffe/bundle/bundle-set.ts';
import { equalBundles } from '../../spiffe/bundle/change.ts';
import { bundleToSpiffeJson, type ReadBundle, readSpiffeBundle } from '../../spiffe/bundle/json.ts';
import { pollInterval } from '../../spiffe/bundle/refresh.ts';
import { verifyJwtSvid } from '../../spiffe/jwt/verify.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { HOUR, pass, running, startOn, trustDomain } from '../support/authorities.ts';
import { documentText } from '../support/documents.ts';
import { issuingServer } from '../support/issuing.ts';
import { issueCa, issueSvid, TEST_NOW } from '../support/pki.ts';
import { sqliteTests } from '../support/sqlite.ts';
import { type DocumentInput, documentOf } from '../vectors/run/bundle-input.ts';
import { row } from './row.ts';

const [td1, td2] = [parseTrustDomain('td1'), parseTrustDomain('td2')];
const ca = issueCa();
const otherCa = issueCa();
const svid = issueSvid(ca, 'spiffe://td1/x').der;
const bundleWith = (of: TrustDomain, ...authorities: readonly Buffer[]): Bundle => ({
  ...emptyBundle(of),
  x509Authorities: authorities.map((certificate) => ({ certificate, tainted: false })),
});

const read = (input: DocumentInput | string): ReadBundle =>
  readSpiffeBundle(typeof input === 'string' ? input : documentOf(input), td1);
const kids = (...keys: Extract<DocumentInput, { keys: unknown }>['keys']): readonly string[] =>
  read({ keys }).bundle.jwtAuthorities.map(({ keyId }) => keyId);
const verifiedBy = (set: BundleSet, leaf: Buffer): string =>
  verifyX509Svid([leaf], (of) => set.get(of)?.x509Authorities.map(({ certificate }) => certificate), TEST_NOW).id;

type Members = Readonly<Record<string, unknown>>;
interface Document extends Members {
  readonly keys: readonly Members[];
}

/** The bundle of a server that has just started, as its bundle endpoint would publish it. */
async function published(): Promise<Document> {
  const { bundle } = await issuingServer();
  return JSON.parse(bundleToSpiffeJson(await bundle(), { refreshHint: 300 })) as Document;
}

/** A server's token, judged by the bundle that the server publishes once its JWT key there has these members. */
async function tokenUnder(members: Members): Promise<unknown> {
  const { bundle, machine, tokenOf } = await issuingServer();
  const document = JSON.parse(bundleToSpiffeJson(await bundle())) as Document;
  const keys = document.keys.map((key) => (key['use'] === 'jwt-svid' ? { ...key, ...members } : key));
  const { jwtAuthorities } = readSpiffeBundle(JSON.stringify({ keys }), trustDomain).bundle;
  const token = await tokenOf({ sub: 'spiffe://example.org/x' });
  return verifyJwtSvid(token, { audience: ['a'], authorities: () => jwtAuthorities, now: machine.clock.now() });
}

const UNKNOWN_AUTHORITY = /certificate signed by unknown authority/;

describe('3: bundles and their trust domains', () => {
  row('BUNDLE-01')
    .shows('the name beside the bundle, and not taken out of it', () => {
      expect(read('{"keys":[],"trust_domain":"td2"}').bundle.trustDomain).toBe(td1);
      expect(bundleSet(bundleWith(td1), bundleWith(td2)).get(td2)?.trustDomain).toBe(td2);
    })
    .refuses('two bundles for one name', () => bundleSet(bundleWith(td1), bundleWith(td1)), /two bundles of td1/);

  row('BUNDLE-02')
    .accepts("an SVID under its own trust domain's bundle", () =>
      verifiedBy(bundleSet(bundleWith(td1, ca.der), bundleWith(td2, otherCa.der)), svid),
    )
    .refuses(
      "an SVID under another trust domain's bundle",
      () => verifiedBy(bundleSet(bundleWith(td1, otherCa.der), bundleWith(td2, ca.der)), svid),
      UNKNOWN_AUTHORITY,
    )
    .refuses('an SVID without a bundle', () => verifiedBy(bundleSet(bundleWith(td2, ca.der)), svid), /no X.509 bundle/)
    .refuses(
      'to look further than the set',
      () => bundleOf(bundleSet(bundleWith(td1)), td2),
      /no bundle of trust domain/,
    );

  row('BUNDLE-03')
    .shows('a JWK Set', async () =>
      expect((await published()).keys.every((key) => typeof key['kty'] === 'string')).toBe(true),
    )
    .refuses('an array', () => read('[]'), /not a JSON object/)
    .refuses('a string', () => read('"x"'), /not a JSON object/)
    .refuses('a part', () => read('{"keys":['), /malformed/);
});

describe('4.1: the set', () => {
  row('BUNDLE-04').accepts('a member that is not in the standard', () => read('{"foo":1,"keys":[]}'));

  row('BUNDLE-05').accepts('a bundle with keys only', () => read('{"keys":[]}'));

  row('BUNDLE-06').shows('a sequence number in what a server publishes', async () => {
    expect((await published())['spiffe_sequence']).toBeGreaterThan(0);
  });

  const sqlite = sqliteTests();

  row('BUNDLE-07').shows('numbers that only grow, also over restarts', async () => {
    const file = sqlite.path();
    const { machine } = await issuingServer();
    const numbers: bigint[] = [];
    for (let start = 0; start < 3; start += 1) {
      const store = await sqlite.open(file);
      const { bundles, journals } = store;
      const server = await startOn({ ...machine, bundles, journals });
      const note = async (): Promise<unknown> => numbers.push((await bundles.get(trustDomain))?.sequenceNumber ?? -1n);
      await note();
      await running(server, () => pass(machine, 13 * HOUR));
      await note();
      await store.close?.();
    }
    expect(numbers).toEqual(numbers.toSorted((a, b) => Number(a - b)));
    expect(new Set(numbers).size).toBeGreaterThan(3);
  });

  row('BUNDLE-08').shows('another number with each change, and the same without', async () => {
    const { bundles } = await sqlite.open(sqlite.path());
    const add = async (...authorities: readonly Buffer[]): Promise<bigint> =>
      (await bundles.append(bundleWith(trustDomain, ...authorities))).sequenceNumber;
    const first = await add(ca.der);
    expect(await add(ca.der)).toBe(first);
    expect(await add(otherCa.der)).toBe(first + 1n);
    expect(await add(otherCa.der, ca.der)).toBe(first + 1n);
    const { notAfter } = parseCertificate(ca.der);
    await bundles.append(bundleWith(trustDomain, issueCa(undefined, { notAfter: notAfter + HOUR }).der));
    expect(await bundles.prune(trustDomain, notAfter / 1000)).toBe(true);
    expect((await bundles.get(trustDomain))?.sequenceNumber).toBe(first + 3n);
  });

  const LARGEST = '18446744073709551615';
  row('BUNDLE-09')
    .shows('64 bits, read and written exactly', () => {
      const { bundle } = read(`{"keys":[],"spiffe_sequence":${LARGEST}}`);
      expect(bundle.sequenceNumber).toBe(2n ** 64n - 1n);
      expect(bundleToSpiffeJson(bundle)).toContain(`"spiffe_sequence": ${LARGEST}`);
    })
    .refuses('a negative one', () => read('{"keys":[],"spiffe_sequence":-1}'), /not an unsigned 64-bit integer/)
    .refuses('a fraction', () => read('{"keys":[],"spiffe_sequence":1.5}'), /not an unsigned 64-bit integer/)
    .refuses('text', () => read('{"keys":[],"spiffe_sequence":"1"}'), /not an unsigned 64-bit integer/)
    .refuses('65 bits', () => read('{"keys":[],"spiffe_sequence":18446744073709551616}'), /not an unsigned 64-bit/);

  row('BUNDLE-10').shows('the refresh hint of the endpoint', async () => {
    expect((await published())['spiffe_refresh_hint']).toBe(300);
  });

  row('BUNDLE-11')
    .accepts('whole seconds', () => expect(read('{"keys":[],"spiffe_refresh_hint":60}').bundle.refreshHint).toBe(60))
    .refuses('text', () => read('{"keys":[],"spiffe_refresh_hint":"60"}'), /not a whole number of seconds/)
    .refuses('a fraction', () => read('{"keys":[],"spiffe_refresh_hint":1.5}'), /not a whole number of seconds/)
    .refuses('a negative one', () => read('{"keys":[],"spiffe_refresh_hint":-1}'), /not a whole number of seconds/);

  row('BUNDLE-12').shows('a hint that is followed within limits only', () => {
    const poll = (hint: number): number => pollInterval(read(`{"keys":[],"spiffe_refresh_hint":${hint}}`));
    expect([0, 1, 60, 600, 2_419_200].map(poll)).toEqual([60, 60, 60, 600, 86_400]);
  });

  row('BUNDLE-13')
    .shows('an empty list where there is no key', () => {
      expect(JSON.parse(bundleToSpiffeJson(emptyBundle(td1)))).toEqual({ keys: [] });
    })
    .accepts('a list', () => read('{"keys":[]}'))
    .refuses('none', () => read('{}'), /"keys" is missing or not an array/)
    .refuses('null', () => read('{"keys":null}'), /"keys" is missing or not an array/);

  const NO_KEY = /public key "\w+" not found in trust domain "example\.org"/;

  row('BUNDLE-14')
    .accepts('what it knows beside keys of unknown kinds', () => {
      const strange = ['XYZ', 'OKP', 'AKP', 'oct'].map((kty) => ({ key: 'jwt-p256', set: { kty } }));
      expect(kids(...strange, { key: 'jwt-rsa' })).toEqual(['rsa']);
    })
    .refuses('a token under a key of an unknown kind', () => tokenUnder({ kty: 'XYZ' }), NO_KEY);

  row('BUNDLE-15')
    .accepts('what it knows beside keys for unknown uses', () => {
      expect(kids({ key: 'jwt-p256', set: { use: 'sig' } }, { key: 'jwt-rsa' })).toEqual(['rsa']);
    })
    .refuses('a token under a key for an unknown use', () => tokenUnder({ use: 'sig' }), NO_KEY)
    .refuses('a token under a key for another kind of SVID', () => tokenUnder({ use: 'wit-svid' }), NO_KEY);

  row('BUNDLE-16')
    .accepts('what it knows beside keys for no use', () => {
      expect(kids({ key: 'jwt-p256', set: { use: null } }, { key: 'jwt-rsa' })).toEqual(['rsa']);
    })
    .refuses('a token under a key for no use', () => tokenUnder({ use: undefined }), NO_KEY);

  row('BUNDLE-17')
    .accepts('a token under a key whose use is spelled exactly so', () => tokenUnder({ use: 'jwt-svid' }))
    .accepts('what it knows beside other spellings', () => {
      const spellings = ['JWT-SVID', 'Jwt-Svid', 'jwt-svid ', 'jwt_svid'].map((use) => ({
        key: 'jwt-p256',
        set: { use },
      }));
      expect(kids(...spellings, { key: 'jwt-rsa' })).toEqual(['rsa']);
    })
    .refuses('a token under a key whose use is in upper case', () => tokenUnder({ use: 'JWT-SVID' }), NO_KEY);

  const revoked = bundleSet(read('{"keys":[]}').bundle);
  row('BUNDLE-18')
    .accepts('an empty list', () => expect(revoked.get(td1)?.x509Authorities).toEqual([]))
    .shows('an empty list for a bundle that trusts nobody', () => {
      expect(equalBundles(read(bundleToSpiffeJson(emptyBundle(td1))).bundle, emptyBundle(td1))).toBe(true);
    })
    .refuses(
      'an SVID that was good before',
      () => {
        verifiedBy(bundleSet(bundleWith(td1, ca.der)), svid);
        verifiedBy(revoked, svid);
      },
      UNKNOWN_AUTHORITY,
    );

  row('BUNDLE-19')
    .accepts('an SVID while there is a usable key', () => verifiedBy(bundleSet(bundleWith(td1, ca.der)), svid))
    .refuses(
      'an SVID when all keys are of unknown kinds, whatever the bundle before held',
      () => verifiedBy(bundleSet(read({ keys: [{ key: 'x509-ec', set: { kty: 'XYZ' } }] }).bundle), svid),
      UNKNOWN_AUTHORITY,
    );
});

describe('4.2: the keys', () => {
  row('BUNDLE-20').shows('three uses, each for its own kind of SVID', () => {
    const { bundle, skipped } = read({
      keys: [
        { key: 'x509-ec' },
        { key: 'jwt-p256' },
        { key: 'jwt-rsa', set: { use: 'wit-svid' } },
        { key: 'jwt-rsa', set: { use: 'x-svid' } },
      ],
    });
    const { x509Authorities, jwtAuthorities, witAuthorities } = bundle;
    expect([x509Authorities.length, jwtAuthorities.length, witAuthorities.length]).toEqual([1, 1, 1]);
    expect(skipped).toEqual([{ index: 3, reason: 'no known use' }]);
  });

  row('BUNDLE-21')
    .shows('no members but those of the standards', async () => {
      const defined = ['use', 'kty', 'kid', 'crv', 'x', 'y', 'n', 'e', 'x5c'];
      const members = (await published()).keys.flatMap((key) => Object.keys(key));
      expect(members.filter((name) => !defined.includes(name))).toEqual([]);
    })
    .refuses('the private part of a key', () => kids({ key: 'jwt-p256', set: { d: 'AA' } }), /private part of a key/);

  row('BUNDLE-22')
    .shows('kty on each key', async () => {
      expect((await published()).keys.map((key) => key['kty'])).toEqual(['EC', 'EC']);
    })
    .accepts('what it knows beside a key without', () => {
      expect(kids({ key: 'jwt-p256', set: { kty: null } }, { key: 'jwt-rsa' })).toEqual(['rsa']);
    })
    .refuses('a token under a key without', () => tokenUnder({ kty: undefined }), /public key "\w+" not found/);

  row('BUNDLE-23').shows('use on each key', async () => {
    expect((await published()).keys.map((key) => key['use'])).toEqual(['x509-svid', 'jwt-svid']);
  });
});

describe('5: bundle maps', () => {
  const map = (members: string) => () => readBundleMap(`{"trust_domains":{${members}}}`);

  row('BUNDLE-24')
    .shows('trust_domains where there is none', () =>
      expect(JSON.parse(bundleMapToJson([]))).toEqual({ trust_domains: {} }),
    )
    .accepts('an empty one', map(''))
    .refuses('none', () => readBundleMap('{}'), /"trust_domains" is missing/);

  row('BUNDLE-25')
    .shows('names as keys', () => {
      const written = JSON.parse(bundleMapToJson([bundleWith(td1)])) as Members;
      expect(written).toEqual({ trust_domains: { td1: { keys: [] } } });
    })
    .accepts('a name', map('"td":{"keys":[]}'))
    .refuses('an ID', map('"spiffe://td":{"keys":[]}'), /a key of "trust_domains": trust domain characters/)
    .refuses('a name in upper case', map('"Td":{"keys":[]}'), /a key of "trust_domains": trust domain characters/)
    .refuses('a name with a port', map('"a:1":{"keys":[]}'), /a key of "trust_domains": trust domain characters/);

  row('BUNDLE-26')
    .shows('every name once', () =>
      expect(bundleMapToJson([bundleWith(td1), bundleWith(td2)]).match(/"td\d"/g)).toEqual(['"td1"', '"td2"']),
    )
    .refuses('to write a name twice', () => bundleMapToJson([bundleWith(td1), bundleWith(td1)]), /two bundles of td1/)
    .refuses(
      'to write a name twice that differed in case',
      () => bundleMapToJson([bundleWith(td1), bundleWith(parseTrustDomain('TD1', { normalize: true }))]),
      /two bundles of td1/,
    );

  row('BUNDLE-27')
    .accepts('different names', map('"a":{"keys":[]},"b":{"keys":[]}'))
    .refuses('a name twice', map('"a":{"keys":[]},"a":{"keys":[]}'), /repeated member/)
    .refuses('a name twice, once escaped', map('"a":{"keys":[]},"\\u0061":{"keys":[]}'), /repeated member/);

  row('BUNDLE-28').shows('no refresh hint in members', () => {
    expect(bundleMapToJson([{ ...bundleWith(td1), refreshHint: 60 }])).not.toContain('refresh_hint');
  });

  row('BUNDLE-29').shows('no refresh hint of a member to whoever polls the map', () => {
    const { bundles } = map('"td1":{"keys":[],"spiffe_refresh_hint":1},"td2":{"keys":[],"refresh_hint":1}')();
    expect(Array.from(bundles.values(), ({ refreshHint }) => refreshHint)).toEqual([0, 0]);
  });

  row('BUNDLE-30')
    .accepts('a new map in place of the old one, without the trust domains that are gone', () => {
      const [first, second] = [
        map('"a":{"keys":[]},"b":{"keys":[],"spiffe_sequence":3}')(),
        map('"b":{"keys":[],"spiffe_sequence":5}')(),
      ];
      expect([...first.bundles.keys()]).toEqual(['a', 'b']);
      expect([...second.bundles.keys()]).toEqual(['b']);
      expect(bundleOf(second.bundles, parseTrustDomain('b')).sequenceNumber).toBe(5n);
    })
    .refuses('a map as a whole for one bad member', map('"a":{"keys":[]},"b":{"keys":null}'), /bundle of b: /);
});

describe('2 and 6: security', () => {
  row('BUNDLE-31').shows('five minutes where there is no hint', () =>
    expect(pollInterval(read('{"keys":[]}'))).toBe(300),
  );

  row('BUNDLE-32').shows('a root key for each server by itself, and the advice to keep it so', async () => {
    const [one, other] = await Promise.all([issuingServer(), issuingServer()]);
    const keyOf = ({ authorities }: typeof one) => authorities.x509.current?.details.publicKey.toString('hex');
    expect(keyOf(one)).toBeTruthy();
    expect(keyOf(one)).not.toBe(keyOf(other));
    const text = documentText('trust-domains.md');
    expect(text).toContain('One root key per trust domain.');
    expect(text).toContain('Bundles are never merged.');
    expect(text).toContain('Federation is one-way.');
  });

  row('BUNDLE-33').shows('another key for each kind of SVID', async () => {
    const { bundle, authorities } = await issuingServer();
    const { x509Authorities, jwtAuthorities } = await bundle();
    const keys = [
      ...x509Authorities.map(({ certificate }) => parseCertificate(certificate).publicKey),
      ...jwtAuthorities.map(({ publicKey }) => publicKey),
    ].map((key) => key.toString('hex'));
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(2);
    expect(authorities.jwt.current?.signer.publicKey.toString('hex')).toBe(keys[1]);
    expect(documentText('trust-domains.md')).toContain('One key per kind of SVID.');
  });
});
