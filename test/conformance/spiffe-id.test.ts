import { describe, expect } from 'vitest';
import { subject } from '../../common/observable.ts';
import { entryService } from '../../common/rpc/services.ts';
import {
  appendPath,
  isMemberOf,
  parseSpiffeId,
  pathOf,
  replacePath,
  spiffeId,
  spiffeIdOfSegments,
  trustDomainId,
  trustDomainOf,
} from '../../spiffe/id.ts';
import type { VerifiedJwtSvid } from '../../spiffe/jwt/verify.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { validateX509Ca, validateX509Svid } from '../../spiffe/x509/validate.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { newMachine, startOn, trustDomain } from '../support/authorities.ts';
import { documentText } from '../support/documents.ts';
import { issuingServer, noKeys, requestFor } from '../support/issuing.ts';
import { issueCa, issueSvid, newTestKey, TEST_NOW } from '../support/pki.ts';
import { localPeer, openHarness } from '../support/server-api.ts';
import { acceptedBytes } from '../support/vectors.ts';
import { row } from './row.ts';

const SCHEME = /scheme is missing or invalid/;
const NAME = /trust domain characters are limited/;
const PATH = /path segment characters are limited/;
const OWN_ID = /URI SAN is not the ID of the trust domain/;

const read = (text: string) => () => parseSpiffeId(text);
const td = parseTrustDomain('td');
const id = parseSpiffeId('spiffe://example.org/workload');
const longest = spiffeId(trustDomain, `/${'a'.repeat(2048 - 'spiffe://example.org/'.length)}`);

describe('2: the form of an ID', () => {
  row('ID-01')
    .accepts('spiffe', read('spiffe://td/p'))
    .refuses('another scheme', read('http://td/p'), SCHEME)
    .refuses('a scheme that only ends like it', read('xspiffe://td/p'), SCHEME);

  row('ID-02')
    .accepts('one character', read('spiffe://a'))
    .refuses('none', read('spiffe://'), /trust domain is missing/)
    .refuses('none before a path', read('spiffe:///p'), /trust domain is missing/);

  row('ID-03')
    .accepts('none', read('spiffe://td/p'))
    .refuses('a query', read('spiffe://td/p?x=1'), PATH)
    .refuses('an empty query', read('spiffe://td/p?'), PATH)
    .refuses('a query of a trust domain', read('spiffe://td?x'), NAME);

  row('ID-04')
    .accepts('none', read('spiffe://td/p'))
    .refuses('a fragment', read('spiffe://td/p#f'), PATH)
    .refuses('an empty fragment', read('spiffe://td/p#'), PATH)
    .refuses('a fragment of a trust domain', read('spiffe://td#'), NAME);

  row('ID-05')
    .accepts('ASCII', read('spiffe://td/p'))
    .refuses('other letters in the path', read('spiffe://td/é'), PATH)
    .refuses('other letters in the trust domain', read('spiffe://té/p'), NAME)
    .refuses('a space before', read(' spiffe://td/p'), SCHEME)
    .refuses('a space behind', read('spiffe://td/p '), PATH)
    .refuses('a control character', read('spiffe://td/p\n'), PATH);
});

describe('2.1: trust domain names', () => {
  row('ID-06')
    .accepts('a host', read('spiffe://td/'.slice(0, -1)))
    .refuses('an empty one', read('spiffe:///'), /trust domain is missing/);

  row('ID-07')
    .accepts('none', read('spiffe://td/p'))
    .refuses('a user', read('spiffe://u@td/p'), NAME)
    .refuses('a user with a password', read('spiffe://u:p@td/p'), NAME)
    .refuses('an empty user', read('spiffe://@td/p'), NAME);

  row('ID-08')
    .accepts('none', read('spiffe://td/p'))
    .refuses('a port', read('spiffe://td:80/p'), NAME)
    .refuses('an empty port', read('spiffe://td:/p'), NAME);

  row('ID-09')
    .accepts('lower case', () => parseTrustDomain('example'))
    .refuses('upper case, where nothing is normalised', () => parseTrustDomain('EXAMPLE'), NAME)
    .shows('no upper case in what is made of a normalised one', () => {
      const name = parseTrustDomain('EXAMPLE', { normalize: true });
      const id = parseSpiffeId('SPIFFE://EXAMPLE/P', { normalize: true });
      const made = [name, id, trustDomainId(name), spiffeId(name, '/P'), spiffeIdOfSegments(name, 'P')];
      for (const one of [...made, appendPath(id, '/Q'), replacePath(id, '/R'), trustDomainOf(id)]) {
        expect(one.replace(/(?<!\/)\/[^/].*/, '')).toMatch(/^(spiffe:\/\/)?example$/);
      }
    });

  row('ID-10')
    .accepts('39 of the 256 bytes', () => {
      const accepted = acceptedBytes((byte) => parseTrustDomain(byte));
      expect(accepted).toBe('-.0123456789_abcdefghijklmnopqrstuvwxyz');
    })
    .refuses('any other', read('spiffe://t~d/p'), NAME);

  row('ID-11')
    .accepts('a name without', read('spiffe://example/p'))
    .refuses('percent-encoding, which is not decoded', read('spiffe://%65xample/p'), NAME);

  row('ID-12').accepts('a dotted quad, byte for byte', () => {
    expect(trustDomainOf(parseSpiffeId('spiffe://1.2.3.4/p'))).toBe('1.2.3.4');
  });

  row('ID-13')
    .accepts('what is not in brackets', read('spiffe://a.b/p'))
    .refuses('an IPv6 address', read('spiffe://[::1]/p'), NAME);

  row('ID-14').accepts('names that DNS would not', () => {
    const names = ['a_b.example', 'a..b', '-a', 'a-', '.a', 'a.', '-', '_'];
    expect(names.map((name) => trustDomainOf(parseSpiffeId(`spiffe://${name}/p`)))).toEqual(names);
  });

  row('ID-15')
    .accepts('names as they are', () => {
      const names = ['example.org', 'example.org.', '010.0.0.1', '10.0.0.1', 'xn--exmple-cua.org'];
      expect(new Set(names.map((name) => parseTrustDomain(name)))).toEqual(new Set(names));
    })
    .refuses('a name that IDNA would translate', () => parseTrustDomain('exämple.org'), NAME)
    .refuses(
      'an SVID of a name that only DNS takes for the same',
      () => {
        const ca = issueCa();
        const authorities = new Map([[parseTrustDomain('example.org'), [ca.der]]]);
        const svid = issueSvid(ca, 'spiffe://example.org./x');
        verifyX509Svid([svid.der], (name) => authorities.get(name), TEST_NOW);
      },
      /no X.509 bundle found for trust domain example\.org\.$/,
    );

  row('ID-16').shows('how to choose a name', () => {
    const text = documentText('trust-domains.md');
    expect(text).toContain('Use a DNS name that you own');
    expect(text).toContain('generate a random UUID: `9eebccd2-12bf-40a6-b262-65fe0487d453`');
    expect(parseTrustDomain('9eebccd2-12bf-40a6-b262-65fe0487d453')).toHaveLength(36);
  });
});

describe('2.2: paths', () => {
  row('ID-17')
    .accepts('a path without', read('spiffe://td/b'))
    .refuses('percent-encoding, which is not decoded', read('spiffe://td/%62'), PATH);

  row('ID-18')
    .accepts('segments of a character', read('spiffe://td/a/b'))
    .refuses('an empty first segment', read('spiffe://td//p'), /path cannot contain empty segments/)
    .refuses('an empty segment', read('spiffe://td/a//b'), /path cannot contain empty segments/);

  row('ID-19')
    .accepts('three dots', read('spiffe://td/...'))
    .accepts('dots before a name', read('spiffe://td/.a/..a'))
    .refuses('a dot', read('spiffe://td/a/./b'), /path cannot contain dot segments/)
    .refuses('two dots', read('spiffe://td/a/../b'), /path cannot contain dot segments/)
    .refuses('two dots at the end', read('spiffe://td/..'), /path cannot contain dot segments/);

  row('ID-20')
    .accepts('a path without', read('spiffe://td/p'))
    .refuses('a slash alone', read('spiffe://td/'), /path cannot have a trailing slash/)
    .refuses('a slash behind a path', read('spiffe://td/p/'), /path cannot have a trailing slash/);

  row('ID-21')
    .accepts('65 of the 256 bytes, a dot only in company', () => {
      const accepted = acceptedBytes((byte) => parseSpiffeId(`spiffe://td/x${byte}x`));
      expect(accepted).toBe('-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz');
    })
    .refuses('any other', read('spiffe://td/a~b'), PATH);

  row('ID-22')
    .accepts('no path', () => expect(pathOf(parseSpiffeId('spiffe://td'))).toBe(''))
    .accepts('a hundred segments', () => {
      const path = '/a'.repeat(100);
      expect(pathOf(parseSpiffeId(`spiffe://td${path}`))).toBe(path);
    });
});

describe('2.3: lengths', () => {
  row('ID-23')
    .accepts('2048 bytes in text, in a certificate and in a token', async () => {
      const { issuer, verifyJwt, verifyX509 } = await issuingServer();
      expect(parseSpiffeId(longest)).toHaveLength(2048);
      expect((await verifyX509(await issuer.workloadX509Svid(await requestFor(longest)))).id).toBe(longest);
      const token = await issuer.jwtSvid({ id: longest, audience: ['a'], ttl: 0, includeJti: false });
      expect((await verifyJwt(token.token)).id).toBe(longest);
    })
    .accepts('2048 bytes over the wire, and in the store', async () => {
      const harness = await openHarness();
      try {
        const local = await harness.as(localPeer);
        const spiffe_id = { trust_domain: trustDomain, path: pathOf(longest) };
        const parent_id = { trust_domain: trustDomain, path: '/parent' };
        const entry = { spiffe_id, parent_id, selectors: [{ type: 'unix', value: 'uid:1' }] };
        const { results } = await local.call(entryService(), 'BatchCreateEntry', { entries: [entry] });
        const id = results[0]?.entry?.id ?? '';
        expect((await local.call(entryService(), 'GetEntry', { id })).spiffe_id).toEqual(spiffe_id);
      } finally {
        await harness.close();
      }
    });

  row('ID-24')
    .accepts('2048 bytes', () => spiffeId(td, `/${'a'.repeat(2036)}`))
    .refuses('to build more from a path', () => spiffeId(td, `/${'a'.repeat(2037)}`), /longer than 2048 bytes/)
    .refuses('to build more from segments', () => spiffeIdOfSegments(td, 'a'.repeat(2037)), /longer than 2048 bytes/)
    .refuses('to append more', () => appendPath(spiffeId(td, '/a'), `/${'a'.repeat(2035)}`), /longer than 2048 bytes/)
    .refuses(
      'to build on one that a reader allowed to be longer',
      () => appendPath(parseSpiffeId(`spiffe://td/${'a'.repeat(2037)}`, { maxLength: 4096 }), '/b'),
      /longer than 2048 bytes/,
    );

  row('ID-25')
    .accepts('255 bytes', () => parseTrustDomain('a'.repeat(255)))
    .refuses('256 bytes', () => parseTrustDomain('a'.repeat(256)), /longer than 255 bytes/)
    .refuses('256 bytes within an ID', read(`spiffe://${'a'.repeat(256)}/p`), /longer than 255 bytes/);

  const name = 'a'.repeat(255);
  row('ID-26')
    .accepts('9 + 255 + 1784 bytes', read(`spiffe://${name}/${'b'.repeat(1783)}`))
    .refuses('9 + 255 + 1785 bytes', read(`spiffe://${name}/${'b'.repeat(1784)}`), /longer than 2048 bytes/);
});

describe('2.4: comparing', () => {
  const checkIssued = (wanted: string): void => {
    const ca = issueCa();
    const key = newTestKey();
    const usage = ['digitalSignature', 'keyEncipherment', 'keyAgreement'] as const;
    const certificate = parseCertificate(issueSvid(ca, 'spiffe://td/Path', { key, usage }).der);
    const issuer = parseCertificate(ca.der);
    const rest = { publicKey: key.spki, dnsNames: [], issuer, now: TEST_NOW };
    validateX509Svid(certificate, { ...rest, id: parseSpiffeId(wanted) });
  };
  row('ID-27')
    .accepts('a certificate with the very ID that was asked for', () => checkIssued('spiffe://td/Path'))
    .refuses('one with another case in the path', () => checkIssued('spiffe://td/path'), /not the expected SPIFFE ID/);

  row('ID-28')
    .accepts('another case of scheme and trust domain for the same, where it is normalised', () => {
      const [one, other] = ['SPIFFE://Example/p', 'spiffe://example/p'].map((text) =>
        parseSpiffeId(text, { normalize: true }),
      );
      expect(one).toBe(other);
      expect(isMemberOf(parseSpiffeId('spiffe://TD/p', { normalize: true }), td)).toBe(true);
    })
    .refuses('it elsewhere: never is it another trust domain', read('SPIFFE://Example/p'), SCHEME)
    .refuses('it elsewhere in the trust domain', read('spiffe://Example/p'), NAME);
});

describe('3: SVIDs', () => {
  const [ca1, ca2] = [issueCa(), issueCa()];
  const authorities = new Map([
    [parseTrustDomain('td1'), [ca1.der]],
    [parseTrustDomain('td2'), [ca2.der]],
  ]);
  const verify = (der: Buffer): string =>
    verifyX509Svid([der], (trustDomain) => authorities.get(trustDomain), TEST_NOW).id;

  row('ID-29')
    .accepts('one of its own trust domain', () => verify(issueSvid(ca1, 'spiffe://td1/x').der))
    .refuses(
      'one of another trust domain, though that is trusted as well',
      () => verify(issueSvid(ca2, 'spiffe://td1/x').der),
      /signed by unknown authority/,
    );

  row('ID-30')
    .refuses('to start without an authority', () => startOn({ ...newMachine(), keyManager: noKeys }), /makes no keys/)
    .refuses(
      'to sign without an active one',
      async () => {
        const { issuer } = await issuingServer({
          active: () => ({ x509: subject(undefined), jwt: subject(undefined) }),
        });
        await issuer.workloadX509Svid(await requestFor(id));
      },
      /X509 CA is not available for signing/,
    )
    .shows('an authority as soon as there is a server', async () => {
      const { authorities: started } = await issuingServer();
      expect(started.x509.current).toBeDefined();
      expect(started.jwt.current).toBeDefined();
    });

  row('ID-31').shows('the authority carries an SVID', async () => {
    const { authorities: started } = await issuingServer();
    expect(started.x509.current?.details.uris).toEqual(['spiffe://example.org']);
  });

  row('ID-32')
    .shows("the authority's ID is of the trust domain", async () => {
      const { authorities: started } = await issuingServer();
      const ids = started.x509.current?.details.uris.map((uri) => parseSpiffeId(uri));
      expect(ids?.map(trustDomainOf)).toEqual([trustDomain]);
    })
    .refuses('a CA of another trust domain as its own', () => checkCa('spiffe://other.org'), OWN_ID);

  row('ID-33')
    .shows("the authority's ID has no path", async () => {
      const { authorities: started } = await issuingServer();
      const ids = started.x509.current?.details.uris.map((uri) => parseSpiffeId(uri));
      expect(ids?.map(pathOf)).toEqual(['']);
    })
    .refuses('a CA with a path', () => checkCa('spiffe://example.org/ca'), OWN_ID);

  row('ID-34')
    .shows('an authority that signs itself', async () => {
      const { authorities: started } = await issuingServer();
      const { details } = started.x509.current ?? {};
      expect(details?.issuer).toEqual(details?.subject);
      expect(started.x509.current?.chain).toEqual([]);
    })
    .shows('an authority under the root of another trust domain', async () => {
      const { issuer, verifyX509 } = await issuingServer({ under: 'corp.example' });
      const { path } = await verifyX509(await issuer.workloadX509Svid(await requestFor(id)));
      expect(path.map(({ uris }) => uris[0])).toEqual([id, 'spiffe://example.org', 'spiffe://corp.example']);
    });

  row('ID-35')
    .accepts('an ID and a key within what is signed', async () => {
      const { issuer, verifyX509 } = await issuingServer();
      const wanted = await requestFor(id);
      const { id: found, leaf } = await verifyX509(await issuer.workloadX509Svid(wanted));
      expect([found, leaf.publicKey]).toEqual([id, wanted.publicKey]);
    })
    .refuses(
      'another ID in the same certificate',
      () => verify(replaced(issueSvid(ca1, 'spiffe://td1/x').der, 'spiffe://td1/x', 'spiffe://td1/y')),
      /signed by unknown authority/,
    )
    .refuses(
      'another key in the same certificate',
      () => {
        const key = newTestKey();
        verify(replaced(issueSvid(ca1, 'spiffe://td1/x', { key }).der, key.spki, newTestKey().spki));
      },
      /signed by unknown authority/,
    )
    .refuses(
      'another subject in the same token',
      async () => {
        const { tokenOf, verifyJwt } = await issuingServer();
        const [header, , signature] = (await tokenOf({ sub: id })).split('.');
        const [, payload] = (await tokenOf({ sub: 'spiffe://example.org/other' })).split('.');
        await verifyJwt([header, payload, signature].join('.'));
      },
      /token signature cannot be verified/,
    );

  row('ID-36')
    .accepts('further claims, and hands them out apart from the ID', async () => {
      const { claims, ...svid } = await verifiedToken({ sub: id, spiffe_id: 'spiffe://example.org/admin' });
      expect(claims['spiffe_id']).toBe('spiffe://example.org/admin');
      expect(svid.id).toBe(id);
      expect(JSON.stringify(svid)).not.toContain('admin');
    })
    .accepts('further names in a certificate, and takes none for the ID', () => {
      const spec = {
        subject: 'spiffe://td1/admin',
        names: [[2, 'admin.td1'] as const, [6, 'spiffe://td1/x'] as const],
      };
      expect(verify(issueSvid(ca1, 'spiffe://td1/x', spec).der)).toBe('spiffe://td1/x');
    })
    .refuses('a claim in place of the ID', () => verifiedToken({ spiffe_id: id }), /missing subject claim/)
    .shows('the warning', () => {
      expect(documentText('trust-domains.md')).toContain(
        'Be wary of using them for decisions, and do not use those of another trust domain at all.',
      );
    });

  const verifyToken = async (token: string): Promise<void> => void (await (await issuingServer()).verifyJwt(token));
  row('ID-37')
    .accepts('an X.509 certificate', () => verify(issueSvid(ca1, 'spiffe://td1/x').der))
    .accepts('a JWT', () => verifiedToken({ sub: id }))
    .refuses('an encrypted token', () => verifyToken('eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA'), /not three parts/)
    .refuses('a PASETO token', () => verifyToken('v4.public.eyJzdWIiOiJzcGlmZmU6Ly90ZC94In0'), /header/)
    .refuses('a COSE signature', () => verify(Buffer.from('d28443a10126a04474657374', 'hex')), /malformed certificate/);

  row('ID-38').shows('what an identity is worth', () => {
    const text = documentText('trust-domains.md');
    expect(text).toContain('It was true when it was issued.');
    expect(text).toContain('It is true within its trust domain.');
    expect(text).toContain('It needs interpretation.');
  });
});

/** Whether a server of `example.org` would sign with a CA of this ID. */
function checkCa(uri: string): void {
  const key = newTestKey();
  const certificate = parseCertificate(issueCa(undefined, { key, names: [[6, uri]] }).der);
  validateX509Ca(certificate, { trustDomain, publicKey: key.spki, now: TEST_NOW });
}

async function verifiedToken(claims: object): Promise<VerifiedJwtSvid> {
  const { tokenOf, verifyJwt } = await issuingServer();
  return verifyJwt(await tokenOf(claims));
}

/** Changes some bytes behind the back of the signature. */
function replaced(der: Buffer, from: string | Buffer, to: string | Buffer): Buffer {
  const changed = Buffer.from(der);
  changed.set(Buffer.from(to as string), changed.indexOf(from));
  return changed;
}
