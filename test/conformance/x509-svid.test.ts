import 'reflect-metadata';
import * as peculiar from '@peculiar/x509';
import { beforeAll, describe, expect } from 'vitest';
import { authorizeAny } from '../../client/authorize.ts';
import { connectTls } from '../../client/tls/connect.ts';
import { signCaRequest } from '../../plugins/upstream-authority/disk/sign-request.ts';
import type { IssuedX509Svid } from '../../server/issuance/issue.ts';
import { bundleToSpiffeJson, readSpiffeBundle } from '../../spiffe/bundle/json.ts';
import { parseSpiffeId, type SpiffeId, spiffeId, trustDomainId } from '../../spiffe/id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { createCsr } from '../../spiffe/x509/csr.ts';
import { generateSigner, type PrivateKeySigner } from '../../spiffe/x509/key.ts';
import { EMPTY_NAME } from '../../spiffe/x509/name.ts';
import { certificatesToPem } from '../../spiffe/x509/pem.ts';
import {
  type CertificateTemplate,
  selfSigned,
  selfSignedCaTemplate,
  signCertificate,
  x509SvidTemplate,
} from '../../spiffe/x509/profile.ts';
import { validateX509Ca, validateX509Svid } from '../../spiffe/x509/validate.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { countingRandom, HOUR, trustDomain } from '../support/authorities.ts';
import { issuingServer, type IssuingServer, requestFor } from '../support/issuing.ts';
import { foreignServer } from '../support/loopback.ts';
import { openssl } from '../support/openssl.ts';
import { issueCa, issueSvid, TEST_NOW } from '../support/pki.ts';
import { testSource, today, todaysCa } from '../support/tls-source.ts';
import type { DeclaredCertificate } from '../vectors/run/x509-certificates.ts';
import { run } from '../vectors/run/x509-svid.ts';
import { row } from './row.ts';

// The vectors of test/vectors/x509-svid.json say more of every rule. Here each row is shown once in each direction. What
// our own side issues comes out of a real server and is read by @peculiar/x509 and by openssl.

const ID = 'spiffe://td/p';

/** A leaf below the good root. */
const judge = (leaf: DeclaredCertificate) => () =>
  run({ certificates: { x: { by: 'root', ...(leaf.names ? {} : { uri: ID }), ...leaf } }, chain: ['x'] });
/** A leaf below a CA below the good root. */
const below =
  (ca: DeclaredCertificate, leaf: DeclaredCertificate = {}) =>
  () =>
    run({
      certificates: { ca: { by: 'root', ca: true, ...ca }, x: { by: 'ca', uri: ID, ...leaf } },
      chain: ['x', 'ca'],
    });
/** A leaf below a root of its own. */
const under =
  (ca: DeclaredCertificate, leaf: DeclaredCertificate = {}) =>
  () =>
    run({
      certificates: { ca: { ca: true, ...ca }, x: { by: 'ca', uri: ID, ...leaf } },
      chain: ['x'],
      bundles: { td: ['ca'] },
    });
const good = judge({});

const UNKNOWN_AUTHORITY = /certificate signed by unknown authority/;

const workload = spiffeId(trustDomain, '/web');
let server: IssuingServer;
let issued: IssuedX509Svid;
let leaf: peculiar.X509Certificate;
let ca: peculiar.X509Certificate;
/** Of the CA that signs. */
let caDer: Buffer;

beforeAll(async () => {
  server = await issuingServer();
  issued = await mint();
  leaf = new peculiar.X509Certificate(leafOf(issued));
  const [authority] = (await server.bundle()).x509Authorities;
  caDer = authority?.certificate ?? Buffer.of();
  ca = new peculiar.X509Certificate(caDer);
});

async function mint(
  id: SpiffeId = workload,
  dnsNames: readonly string[] = ['web', 'web.test'],
): Promise<IssuedX509Svid> {
  return server.issuer.workloadX509Svid({ ...(await requestFor(id)), dnsNames });
}

const leafOf = ({ chain }: IssuedX509Svid): Buffer => chain[0] ?? Buffer.of();
const opensslText = (der: Uint8Array, ...args: readonly string[]): string =>
  openssl(['x509', '-noout', ...args], certificatesToPem([der]));
const uriNames = (certificate: peculiar.X509Certificate): readonly string[] =>
  namesOf(certificate).flatMap(({ type, value }) => (type === 'url' ? [value] : []));

function namesOf(certificate: peculiar.X509Certificate): readonly peculiar.GeneralName[] {
  return certificate.getExtension(peculiar.SubjectAlternativeNameExtension)?.names.items ?? [];
}

function usageOf(certificate: peculiar.X509Certificate): { readonly critical: boolean; readonly usages: number } {
  const { critical = false, usages = 0 } = certificate.getExtension(peculiar.KeyUsagesExtension) ?? {};
  return { critical, usages };
}

const { digitalSignature, keyEncipherment, keyAgreement, keyCertSign, cRLSign } = peculiar.KeyUsageFlags;

/** The certificates that a server issues to workloads, agents and itself. */
async function everyLeaf(): Promise<readonly peculiar.X509Certificate[]> {
  const { publicKey } = await generateSigner('ec-p256');
  const agent = await server.issuer.agentX509Svid({ publicKey, id: spiffeId(trustDomain, '/spire/agent/x') });
  const all = [await mint(), await mint(workload, []), agent, await server.issuer.serverX509Svid({ publicKey })];
  return all.map((one) => new peculiar.X509Certificate(leafOf(one)));
}

/** What the server would issue but for `change`, as it checks it before it lets it out. */
async function issueOddly(change: Partial<CertificateTemplate>): Promise<Buffer> {
  const { publicKey } = await generateSigner('ec-p256');
  const authority = server.authorities.x509.current;
  if (authority === undefined) throw new Error('the server has no CA');
  const now = server.machine.clock.now();
  const fields = { id: workload, publicKey, serialNumber: 7n, now, ttlMs: HOUR, issuer: authority.details };
  const der = await signCertificate({ ...x509SvidTemplate(fields), ...change }, authority.issuer);
  validateX509Svid(parseCertificate(der), { ...fields, dnsNames: [] });
  return der;
}

/** What the server would make its CA but for `change`, as it checks it before it signs with it. */
async function makeCaOddly(change: Partial<CertificateTemplate>): Promise<void> {
  const signer: PrivateKeySigner = await generateSigner('ec-p256');
  const { publicKey } = signer;
  const now = server.machine.clock.now();
  const fields = { publicKey, trustDomain, serialNumber: 7n, now, ttlMs: HOUR, subject: {} };
  const template = { ...selfSignedCaTemplate(fields), ...change };
  const certificate = parseCertificate(await signCertificate(template, selfSigned(template, signer)));
  validateX509Ca(certificate, { trustDomain, publicKey, now });
}

describe('2: the SPIFFE ID', () => {
  row('X509-01').shows('one URI in what is issued, the ID', async () => {
    const ids = (await everyLeaf()).map(uriNames);
    const [web, agent, own] = [
      workload,
      spiffeId(trustDomain, '/spire/agent/x'),
      spiffeId(trustDomain, '/spire/server'),
    ];
    expect(ids).toEqual([[web], [web], [agent], [own]]);
    expect(opensslText(leafOf(issued), '-ext', 'subjectAltName').match(/URI:\S+/g)).toEqual([`URI:${workload}`]);
  });

  row('X509-02')
    .accepts('one URI', good)
    .refuses(
      'two IDs',
      judge({
        names: [
          ['URI', ID],
          ['URI', 'spiffe://td/q'],
        ],
      }),
      /more than one URI SAN/,
    )
    .refuses(
      'an ID and a URL',
      judge({
        names: [
          ['URI', ID],
          ['URI', 'https://x'],
        ],
      }),
      /more than one URI SAN/,
    );

  row('X509-03')
    .accepts('a URI', good)
    .refuses('a DNS name only', judge({ names: [['DNS', 'td']] }), /contains no URI SAN/);

  row('X509-04')
    .accepts(
      'names of other forms',
      judge({
        names: [
          ['URI', ID],
          ['DNS', 'a'],
          ['DNS', 'b'],
          ['IP', '10.0.0.1'],
          ['email', 'a@b.c'],
        ],
      }),
    )
    .shows('DNS names that a workload was registered with', () => {
      const dnsNames = namesOf(leaf).flatMap(({ type, value }) => (type === 'dns' ? [value] : []));
      expect(dnsNames).toEqual(['web', 'web.test']);
    });

  row('X509-05')
    .accepts('a SPIFFE ID', good)
    .refuses('a dot segment', judge({ uri: 'spiffe://td/a/../b' }), /dot segments/)
    .refuses('an empty fragment', judge({ uri: 'spiffe://td/a#' }), /path segment characters/)
    .refuses('a byte beyond ASCII', judge({ uri: 'spiffe://td/\xe4' }), /characters that its type does not allow/);
});

describe('3: the hierarchy', () => {
  row('X509-06')
    .accepts('the ID of the leaf, whatever that of its CA', () => {
      expect(below({ uri: 'spiffe://td/other' })()).toMatchObject({ id: ID });
    })
    .refuses(
      'the ID of the CA in place of that of the leaf',
      () => run({ certificates: { ca: { by: 'root', ca: true, uri: ID }, x: { by: 'ca' } }, chain: ['x', 'ca'] }),
      /contains no URI SAN/,
    );

  row('X509-07')
    .accepts('to issue for an ID with a path', () => mint())
    .refuses('to issue for that of the trust domain', () => mint(trustDomainId(trustDomain)), /path is empty/);

  row('X509-08')
    .accepts('an empty subject with a critical SAN', judge({ subject: '', namesCritical: true }))
    .shows('a critical SAN beside an empty subject, and only there', async () => {
      const criticalIn = (der: Buffer): boolean | undefined =>
        new peculiar.X509Certificate(der).getExtension(peculiar.SubjectAlternativeNameExtension)?.critical;
      const nameless = await issueOddly({ subject: EMPTY_NAME });
      expect([criticalIn(nameless), criticalIn(leafOf(issued))]).toEqual([true, false]);
      expect(opensslText(nameless, '-subject', '-ext', 'subjectAltName')).toMatch(/^subject=\n.*: critical/);
    });

  row('X509-09').shows("the trust domain's ID in the CA", () => {
    expect(uriNames(ca)).toEqual([trustDomainId(trustDomain)]);
  });

  row('X509-10')
    .accepts("another's CA whose ID has a path", below({ uri: 'spiffe://td/ca' }))
    .refuses(
      'a CA of our own whose ID has a path',
      () => makeCaOddly({ uris: [`${trustDomainId(trustDomain)}/ca`] }),
      /not the ID of the trust domain/,
    )
    .refuses(
      'to sign one for a server below ours',
      async () => {
        const signer = await generateSigner('ec-p256');
        const csr = await createCsr({ signer, subject: EMPTY_NAME, uris: [`${trustDomainId(trustDomain)}/ca`] });
        const upstream = { certificate: parseCertificate(caDer), signer, chain: [], roots: [] };
        const now = server.machine.clock.now();
        return signCaRequest({ csr, ca: upstream, preferredTtl: 0, trustDomain, now, random: countingRandom() });
      },
      /CSR must use the ID of trust domain/,
    );

  row('X509-11')
    .accepts('leaves of one trust domain below a CA of another', below({ uri: 'spiffe://other' }))
    .shows('CA and leaf in one trust domain', () => {
      const domains = [ca, leaf].flatMap(uriNames).map((id) => parseTrustDomain(id));
      expect(domains).toEqual([trustDomain, trustDomain]);
    });

  row('X509-12')
    .accepts('a CA below a CA', below({}))
    .shows('a server whose CA was signed by that of another trust domain', async () => {
      const downstream = await issuingServer({ under: 'upstream.test' });
      const svid = await downstream.issuer.workloadX509Svid(await requestFor(workload));
      const { id, path } = await downstream.verifyX509(svid);
      const uris = path.map(({ der }) => uriNames(new peculiar.X509Certificate(der)));
      expect([id, uris]).toEqual([workload, [[workload], [trustDomainId(trustDomain)], ['spiffe://upstream.test']]]);
    });

  const todays = todaysCa(undefined, { names: [[6, 'spiffe://td/ca']] });
  const client = testSource('spiffe://td/client', todays);
  const connect = async (chain: Parameters<typeof foreignServer>[0]): Promise<void> => {
    const { port } = await foreignServer(chain);
    const { socket } = await connectTls(client, { host: '127.0.0.1', port, authorize: authorizeAny });
    socket.destroy();
  };
  row('X509-13')
    .accepts('a TLS server with a leaf', () => connect([issueSvid(todays, 'spiffe://td/server', today)]))
    .refuses('a TLS server with a CA, the authority itself', () => connect([todays]), /must not have the CA flag set/)
    .refuses(
      'a TLS server with a CA below the authority',
      () => connect([todaysCa(todays, { names: [[6, 'spiffe://td/server']] })]),
      /must not have the CA flag set/,
    );
});

describe('4: constraints and usage', () => {
  row('X509-14')
    .accepts('a leaf right below a CA with path length 0', under({ pathLength: 0 }))
    .refuses(
      'a CA below it',
      () =>
        run({
          certificates: { top: { ca: true, pathLength: 0 }, ca: { by: 'top', ca: true }, x: { by: 'ca', uri: ID } },
          chain: ['x', 'ca'],
          bundles: { td: ['top'] },
        }),
      /allows no chain of this length/,
    );

  const constraintsOf = (one: peculiar.X509Certificate) => one.getExtension(peculiar.BasicConstraintsExtension);
  row('X509-15')
    .accepts('a CA that says so', below({}))
    .refuses('one that says no', below({ ca: false, usage: ['keyCertSign'] }), /issuer is not a CA/)
    .refuses('one that says nothing', below({ basicConstraints: null }), /issuer is not a CA/)
    .refuses(
      'to sign with a CA of our own that says no',
      () => makeCaOddly({ isCa: false }),
      /cA constraint is not set/,
    )
    .shows('cA TRUE, critical, in our CA', () => {
      expect(constraintsOf(ca)).toMatchObject({ ca: true, critical: true });
    });

  row('X509-16')
    .refuses('to issue a leaf with cA TRUE', () => issueOddly({ isCa: true }), /cA constraint must not be set/)
    .shows('cA FALSE in every leaf', async () => {
      for (const one of await everyLeaf()) expect(constraintsOf(one)).toMatchObject({ ca: false, critical: true });
      expect(opensslText(leafOf(issued), '-ext', 'basicConstraints')).toContain('CA:FALSE');
    });

  row('X509-17')
    .accepts('an ID that a URI constraint permits', under({ nameConstraints: { permitted: [['URI', 'td']] } }))
    .refuses(
      'an ID that a URI constraint does not permit',
      under({ nameConstraints: { permitted: [['URI', 'other']] } }),
      /URI is not permitted by the name constraints/,
    )
    .refuses(
      'an ID that a URI constraint excludes',
      under({ nameConstraints: { excluded: [['URI', 'td']] } }),
      /URI is excluded by the name constraints/,
    )
    .shows('no name constraints in our CA', () => {
      expect(ca.extensions.map(({ type }) => type)).not.toContain('2.5.29.30');
    });

  row('X509-18')
    .refuses('a leaf without key usage', judge({ usage: null }), /must have key usage/)
    .shows('key usage in every certificate', async () => {
      for (const one of [ca, ...(await everyLeaf())]) expect(usageOf(one).usages).not.toBe(0);
    });

  row('X509-19').shows('critical key usage in every certificate', async () => {
    for (const one of [ca, ...(await everyLeaf())]) expect(usageOf(one).critical).toBe(true);
    expect(opensslText(leafOf(issued), '-ext', 'keyUsage')).toContain('X509v3 Key Usage: critical');
  });

  row('X509-20')
    .accepts('a CA with keyCertSign', below({ usage: ['keyCertSign'] }))
    .refuses('a CA without it', below({ usage: ['cRLSign'] }), /may not sign certificates/)
    .refuses(
      'to sign with a CA of our own without it',
      () => makeCaOddly({ keyUsage: ['cRLSign'] }),
      /keyCertSign key usage must be set/,
    )
    .shows('keyCertSign in our CA', () => expect(usageOf(ca).usages & keyCertSign).toBe(keyCertSign));

  row('X509-21')
    .accepts('a CA with cRLSign', below({ usage: ['keyCertSign', 'cRLSign'] }))
    .shows('cRLSign in our CA', () => expect(usageOf(ca).usages & cRLSign).toBe(cRLSign));

  row('X509-22')
    .accepts('a leaf with digitalSignature', judge({ usage: ['digitalSignature'] }))
    .refuses('a leaf without it', judge({ usage: ['keyAgreement'] }), /must have 'digitalSignature'/)
    .refuses(
      'to issue one without it',
      () => issueOddly({ keyUsage: ['keyAgreement'] }),
      /digitalSignature key usage must be set/,
    )
    .shows('digitalSignature in every leaf', async () => {
      for (const one of await everyLeaf()) expect(usageOf(one).usages & digitalSignature).toBe(digitalSignature);
    });

  row('X509-23')
    .accepts('a leaf with the other two', judge({ usage: ['digitalSignature', 'keyEncipherment', 'keyAgreement'] }))
    .shows('both in every leaf', async () => {
      const both = keyEncipherment | keyAgreement;
      for (const one of await everyLeaf()) expect(usageOf(one).usages & both).toBe(both);
    });

  for (const [id, name, flag] of [
    ['X509-24', 'keyCertSign', keyCertSign],
    ['X509-25', 'cRLSign', cRLSign],
  ] as const) {
    row(id)
      .refuses(
        `to issue a leaf with ${name}`,
        () => issueOddly({ keyUsage: ['digitalSignature', name] }),
        /must not be set/,
      )
      .shows(`no ${name} in any leaf`, async () => {
        for (const one of await everyLeaf()) expect(usageOf(one).usages & flag).toBe(0);
      });
  }

  row('X509-26')
    .accepts("another's CA with digitalSignature", below({ usage: ['keyCertSign', 'digitalSignature'] }))
    .shows('none of the usages of leaves in our CA', () => {
      expect(usageOf(ca).usages & (digitalSignature | keyEncipherment | keyAgreement)).toBe(0);
    });

  const purposesOf = (one: peculiar.X509Certificate) => one.getExtension(peculiar.ExtendedKeyUsageExtension)?.usages;
  const [serverAuth, clientAuth] = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];

  row('X509-27')
    .accepts('a leaf without extended key usage', judge({ purposes: null }))
    .shows('extended key usage in every leaf', async () => {
      for (const one of await everyLeaf()) expect(purposesOf(one)).toBeDefined();
    });

  row('X509-28').accepts('critical extended key usage', judge({ purposesCritical: true }));

  row('X509-29')
    .accepts("another's leaf for servers only", judge({ purposes: [serverAuth] }))
    .refuses(
      'to issue one for servers only',
      () => issueOddly({ extKeyUsage: [serverAuth] }),
      /serverAuth and clientAuth/,
    )
    .shows('both purposes in every leaf', async () => {
      for (const one of await everyLeaf()) expect(purposesOf(one)).toEqual([serverAuth, clientAuth]);
      expect(opensslText(leafOf(issued), '-purpose')).toMatch(/SSL client : Yes[^]*SSL server : Yes/);
    });

  row('X509-30').accepts('a CA with purposes that its leaves exceed', below({ purposes: [serverAuth] }));
});

describe('5: validation', () => {
  row('X509-31')
    .accepts('a good path', good)
    .refuses('a leaf that has expired', judge({ notAfter: '2030-01-02T03:04:04Z' }), /certificate has expired/)
    .refuses('a leaf that is not valid yet', judge({ notBefore: '2030-01-02T03:04:06Z' }), /is not valid yet/)
    .refuses('a wrong signature', judge({ breakSignature: true }), /wrong signature/)
    .refuses('another name of the issuer', judge({ issuer: 'nobody' }), UNKNOWN_AUTHORITY)
    .refuses('a CA that is none', below({ ca: false }), /issuer is not a CA/)
    .refuses(
      'an unknown critical extension',
      judge({ extensions: [{ oid: '1.2.3.4', critical: true, hex: '0500' }] }),
      /unknown critical extension/,
    );

  const [ours, theirs] = [issueCa(), issueCa()];
  const bundles = new Map([
    ['td', [ours.der]],
    ['other', [theirs.der]],
  ]);
  const verified = (by: typeof ours, id: string) =>
    verifyX509Svid([issueSvid(by, id).der], (td) => bundles.get(td), TEST_NOW);
  row('X509-32')
    .accepts("an SVID under its own trust domain's authority", () => verified(ours, ID))
    .refuses('one under the authority of another', () => verified(theirs, ID), UNKNOWN_AUTHORITY)
    .refuses('one without a bundle', () => verified(ours, 'spiffe://nobody/p'), /no X.509 bundle found/);

  row('X509-33')
    .accepts('cA FALSE', good)
    .refuses('cA TRUE', judge({ ca: true, usage: ['digitalSignature'] }), /must not have the CA flag set/);
  row('X509-34')
    .accepts('no keyCertSign', good)
    .refuses('keyCertSign', judge({ usage: ['digitalSignature', 'keyCertSign'] }), /'keyCertSign'/);
  row('X509-35')
    .accepts('no cRLSign', good)
    .refuses('cRLSign', judge({ usage: ['digitalSignature', 'cRLSign'] }), /'cRLSign'/);
  row('X509-36')
    .accepts('the scheme spiffe', good)
    .refuses('the scheme https', judge({ uri: 'https://td/a' }), /scheme is missing or invalid/);
  row('X509-37')
    .accepts('a path', good)
    .refuses('no path', judge({ uri: 'spiffe://td' }), /must have a path/);
});

type Jwk = Readonly<Record<string, unknown>>;

describe('6: the bundle', () => {
  /** The X.509 entries of what the server publishes. */
  const published = async (): Promise<readonly Jwk[]> => {
    const { keys } = JSON.parse(bundleToSpiffeJson(await server.bundle())) as { keys: readonly Jwk[] };
    return keys.filter(({ use }) => use !== 'jwt-svid');
  };
  const authoritiesIn = (...keys: readonly Jwk[]): readonly Buffer[] =>
    readSpiffeBundle(JSON.stringify({ keys }), trustDomain).bundle.x509Authorities.map(
      ({ certificate }) => certificate,
    );

  row('X509-38').shows('use x509-svid', async () => {
    expect((await published()).map(({ use }) => use)).toEqual(['x509-svid']);
  });

  row('X509-39')
    .accepts('a kid, which says nothing', async () => {
      expect(authoritiesIn(...(await published()).map((jwk) => ({ ...jwk, kid: 'x' })))).toEqual([caDer]);
    })
    .shows('no kid', async () => {
      for (const jwk of await published()) expect(jwk).not.toHaveProperty('kid');
    });

  row('X509-40').shows("the members of the certificate's key", async () => {
    const [{ kty, crv, x, y } = {}] = await published();
    expect({ kty, crv, x, y }).toEqual(await publicJwkOf(ca));
  });

  row('X509-41').shows('x5c in standard base64', async () => {
    const [{ x5c } = {}] = await published();
    expect(x5c).toEqual([caDer.toString('base64')]);
  });

  row('X509-42').shows('one certificate in x5c', async () => {
    expect((await published()).map(({ x5c }) => (x5c as unknown[]).length)).toEqual([1]);
  });

  row('X509-43')
    .accepts('an authority that another CA signed', () =>
      run({ chain: ['lower', 'intermediate'], bundles: { td: ['intermediate'] } }),
    )
    .shows('a self-signed one', async () => {
      expect([ca.issuer, await ca.verify({ signatureOnly: true })]).toEqual([ca.subject, true]);
    });

  const [first, second, third] = [issueCa(), issueCa(), issueCa()];
  const entry = (...ders: readonly Buffer[]): Jwk => {
    const { publicKey } = new peculiar.X509Certificate(ders[0] ?? Buffer.of());
    return {
      use: 'x509-svid',
      ...ecMembers(Buffer.from(publicKey.rawData)),
      x5c: ders.map((der) => der.toString('base64')),
    };
  };
  const verifiedIn = (by: typeof first, ...keys: readonly Jwk[]) => {
    const id = parseSpiffeId('spiffe://example.org/p');
    return verifyX509Svid([issueSvid(by, id).der], () => authoritiesIn(...keys), TEST_NOW);
  };
  const { x5c: _x5c, ...withoutX5c } = entry(second.der);

  row('X509-44')
    .accepts('the rest of a bundle with an entry without x5c', () => {
      expect(authoritiesIn(withoutX5c, { ...withoutX5c, x5c: [] }, entry(first.der))).toEqual([first.der]);
    })
    .refuses(
      'an SVID by the key of such an entry',
      () => verifiedIn(second, withoutX5c, entry(first.der)),
      UNKNOWN_AUTHORITY,
    );

  row('X509-45')
    .accepts('the first certificate of several', () => verifiedIn(first, entry(first.der, second.der)))
    .refuses('the second', () => verifiedIn(second, entry(first.der, second.der)), UNKNOWN_AUTHORITY);

  row('X509-46')
    .accepts('the authorities of all entries, each once', () => {
      const keys = [entry(first.der), entry(second.der), entry(first.der)];
      expect(authoritiesIn(...keys)).toEqual([first.der, second.der]);
      for (const by of [first, second]) verifiedIn(by, ...keys);
    })
    .refuses('any other', () => verifiedIn(third, entry(first.der), entry(second.der)), UNKNOWN_AUTHORITY);

  row('X509-47')
    .accepts('the JWT authorities of a bundle without X.509 ones', async () => {
      const { bundle } = readSpiffeBundle(
        bundleToSpiffeJson({ ...(await server.bundle()), x509Authorities: [] }),
        trustDomain,
      );
      expect([bundle.x509Authorities.length, bundle.jwtAuthorities.length]).toEqual([0, 1]);
    })
    .refuses('every X509-SVID there', () => verifiedIn(first), UNKNOWN_AUTHORITY);
});

/** By the independent reader and WebCrypto. */
async function publicJwkOf(certificate: peculiar.X509Certificate): Promise<object> {
  const key = await certificate.publicKey.export();
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', key);
  return { kty, crv, x, y };
}

/** Of a P-256 key, whose SubjectPublicKeyInfo ends in the two coordinates. */
function ecMembers(spki: Buffer): Jwk {
  const [x, y] = [spki.subarray(-64, -32), spki.subarray(-32)];
  return { kty: 'EC', crv: 'P-256', x: x.toString('base64url'), y: y.toString('base64url') };
}
