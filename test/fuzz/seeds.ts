import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { bundleToDer } from '../../spiffe/bundle/der.ts';
import { loadMessage } from '../../common/rpc/message.ts';
import { toStruct } from '../../common/rpc/struct.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { createCsr } from '../../spiffe/x509/csr.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import { encodeName } from '../../spiffe/x509/name.ts';
import { encodePem } from '../../spiffe/x509/pem.ts';
import {
  downstreamCaTemplate,
  selfSigned,
  selfSignedCaTemplate,
  signCertificate,
  x509SvidTemplate,
} from '../../spiffe/x509/profile.ts';
import { openssl } from '../support/openssl.ts';
import { issueCa, issueSvid, newTestKey, TEST_HOUR, TEST_NOW, type TestKeyKind } from '../support/pki.ts';
import { TOKEN_NOW } from './targets/jwt-svid.ts';
import { ALGORITHMS, signAs, TOKEN_KEYS } from './targets/signing.ts';
import { holderJwk, holderPrivateJwk, proofSeed, wit } from './targets/wit-svid.ts';
import { ownSvidInput } from './targets/x509-svid.ts';
import { verifySeeds } from './targets/x509-verify.ts';

/** Inputs to begin with, by target. */
export type Seeds = Readonly<Record<string, readonly Buffer[]>>;

/**
 * Makes inputs to begin with: what the vectors hold, what we issue, what OpenSSL issues, and what is hard to come by
 * through changes. Keys are new each time, so this is for gathering a corpus, not for a run.
 *
 * @param root of the repository
 */
export async function gatherSeeds(root: string): Promise<Seeds> {
  const certificates = [...(await ourCertificates()), ...opensslCertificates(), ...oddCertificates()];
  const keys = privateKeys();
  return {
    'spiffe-id': textsOf(root, 'spiffe-id.json'),
    'trust-domain': textsOf(root, 'trust-domain.json'),
    selector: ['unix:uid:1000', 'a:b', 'a:b:c', ':', 'a:', ':a', ''].map((text) => Buffer.from(text)),
    endpoint: textsOf(root, 'endpoint.json'),
    certificate: certificates,
    der: [...certificates.slice(0, 4), ...keys.slice(0, 2), Buffer.from('0101ff02020080060355040305000a0101', 'hex')],
    certificates: [Buffer.of(), Buffer.concat(certificates.slice(0, 2)), Buffer.concat(certificates.slice(1, 4))],
    csr: await requests(),
    pem: pemTexts(certificates, keys),
    'private-key': keys,
    'x509-svid': ownSvids(),
    'x509-verify': verifySeeds(),
    'jwt-svid': tokens({ aud: ['a'], iat: TOKEN_NOW }, 'JWT'),
    'wit-svid': tokens({ cnf: { jwk: { ...holderJwk, alg: 'ES256' } } }, 'wit+jwt'),
    'wit-proof': [proofSeed()],
    'wit-key': [Buffer.from(JSON.stringify(holderPrivateJwk))],
    json: ['{"a":[1,-2.5e3,"\\u00e9\\n",true,null,{}],"b":""}', '[]', '0', ' "x" '].map((text) => Buffer.from(text)),
    ...bundles(root),
    hcl: configurations(root),
    'workload-api': messages(),
  };
}

const readJson = (root: string, file: string): unknown => JSON.parse(readFileSync(path.join(root, file), 'utf8'));

type Vectors = { readonly vectors: readonly { readonly input: unknown }[] };

/** Every text in the inputs of a file of vectors that is short enough to be one. */
function textsOf(root: string, file: string): Buffer[] {
  const { vectors } = readJson(root, `test/vectors/${file}`) as Vectors;
  const texts = vectors.flatMap(({ input }) => stringsIn(input));
  return Array.from(new Set(texts), (text) => Buffer.from(text)).filter(({ length }) => length < 2100);
}

function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(stringsIn);
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}

type Members = Readonly<Record<string, unknown>>;

/** Documents of known keys: each by itself, all together, and all as a map. */
function bundles(root: string): Seeds {
  const { keys } = readJson(root, 'test/vectors/bundle-keys.json') as {
    readonly keys: Readonly<Record<string, Members>>;
  };
  const { vectors } = readJson(root, 'test/vectors/bundle.json') as Vectors;
  const texts = vectors.flatMap(({ input }) =>
    isText(input) && input.text.length < 4000 ? [Buffer.from(input.text)] : [],
  );
  const all = Object.values(keys).filter((key) => JSON.stringify(key).length < 3000);
  const document = (list: readonly Members[], more: object = {}): Buffer =>
    Buffer.from(JSON.stringify({ keys: list, ...more }));
  const documents = [
    ...all.map((key) => document([key])),
    document(all, { spiffe_sequence: 7, spiffe_refresh_hint: 60 }),
    document([]),
    ...texts,
  ];
  const small = all.filter((key) => key['kty'] === 'EC').slice(0, 3);
  const map = { trust_domains: { 'example.org': { keys: small, spiffe_sequence: 1 }, 'td.test': { keys: small } } };
  return {
    bundle: documents,
    jwks: [...all.map((key) => document([{ ...key, use: undefined }])), document(small), ...documents],
    'bundle-map': [Buffer.from(JSON.stringify(map)), Buffer.from('{"trust_domains":{"a":{"keys":[]}}}')],
  };
}

function isText(input: unknown): input is { readonly text: string } {
  return typeof input === 'object' && input !== null && 'text' in input && typeof input.text === 'string';
}

/** A root, a CA below it, and X509-SVIDs, as the server makes them. */
async function ourCertificates(): Promise<Buffer[]> {
  const trustDomain = parseTrustDomain('example.org');
  const signer = await generateSigner('ec-p256');
  const common = { now: TEST_NOW, ttlMs: TEST_HOUR, trustDomain };
  const subject = { organization: ['SPIFFE'], country: ['US'], commonName: 'Zoë' };
  const template = selfSignedCaTemplate({ ...common, serialNumber: 1n, publicKey: signer.publicKey, subject });
  const rootDer = await signCertificate(template, selfSigned(template, signer));
  const root = { ...parseCertificate(rootDer), signer, subjectKeyId: template.subjectKeyId };
  const issuer = { subject: root.subject, notAfter: root.notAfter };
  const { publicKey } = await generateSigner('ec-p384');
  const below = downstreamCaTemplate({ ...common, serialNumber: 2n, publicKey, issuer: { ...issuer, chainLength: 1 } });
  const svids = ([[], ['a.example', 'b.example']] as const).map((dnsNames, index) =>
    x509SvidTemplate({
      ...common,
      serialNumber: BigInt(3 + index),
      publicKey,
      id: parseSpiffeId('spiffe://example.org/ns/a/sa/b'),
      dnsNames,
      issuer,
    }),
  );
  return [rootDer, ...(await Promise.all([below, ...svids].map((one) => signCertificate(one, root))))];
}

const OPENSSL_EXTENSIONS = [
  'subjectAltName=URI:spiffe://td/a,DNS:a.example,IP:127.0.0.1,IP:::1,email:a@b,otherName:1.2.3;UTF8:x',
  'nameConstraints=critical,permitted;DNS:.example',
  'certificatePolicies=1.2.3.4',
  'keyUsage=critical,digitalSignature,keyCertSign',
  'extendedKeyUsage=serverAuth,clientAuth',
].flatMap((extension) => ['-addext', extension]);

const OPENSSL_KEYS = [
  ['ec', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  ['rsa:2048', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'],
  ['ed25519'],
];

function opensslRequest(extensions: readonly string[], self: readonly string[]): Buffer[] {
  return OPENSSL_KEYS.map((key) => {
    const common = ['req', '-new', ...self, '-nodes', '-keyout', '/dev/null', '-subj', '/C=DE/O=seed/CN=x'];
    return blockOf(openssl([...common, '-newkey', ...key, ...extensions]));
  });
}

const opensslCertificates = (): Buffer[] => opensslRequest(OPENSSL_EXTENSIONS, ['-x509', '-days', '3650']);

function blockOf(pem: string): Buffer {
  const base64 = pem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'));
  return Buffer.from(base64.join(''), 'base64');
}

/** What neither we nor OpenSSL would write by themselves. */
function oddCertificates(): Buffer[] {
  const ca = issueCa();
  return [
    ca.der,
    issueSvid(ca, 'spiffe://td/a', { version: 1 }).der,
    issueSvid(ca, 'spiffe://td/a', { version: 2, algorithm: 'ecdsa-sha1' }).der,
    issueSvid(ca, 'spiffe://td/a', { subject: '', notAfter: Date.UTC(2055, 1, 1), pathLength: 2 }).der,
    issueSvid(ca, 'spiffe://td/a', { key: newTestKey('secp256k1') }).der,
    issueSvid(ca, 'spiffe://td/a', { key: newTestKey('rsa-1024') }).der,
  ];
}

async function requests(): Promise<Buffer[]> {
  const signer = await generateSigner('ec-p256');
  const subject = encodeName({ commonName: 'x', organization: ['a', 'b'] });
  return [
    await createCsr({ signer, subject, uris: ['spiffe://td/a'], dnsNames: ['a'] }),
    await createCsr({ signer, subject: encodeName({}), uris: [] }),
    ...opensslRequest(['-addext', 'subjectAltName=URI:spiffe://td/a'], []),
  ];
}

function pemTexts(certificates: readonly Buffer[], keys: readonly Buffer[]): Buffer[] {
  const [one = Buffer.of(), two = Buffer.of()] = certificates.toSorted((a, b) => a.length - b.length);
  const [key = Buffer.of()] = keys;
  const texts = [
    encodePem('CERTIFICATE', one),
    encodePem('CERTIFICATE', one) + encodePem('CERTIFICATE', two),
    `# a file\n\n${encodePem('PRIVATE KEY', key)}${encodePem('CERTIFICATE', one).replaceAll('\n', '\r\n')}`,
    '-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nAAAA\n-----END X-----\n',
    '-----BEGIN A-B C-----\nA: b\nAAAA\n AAA=\t\n-----END A-B C-----',
    '-----BEGIN A-----\n-----END B-----',
  ];
  return texts.map((text) => Buffer.from(text));
}

const pkcs8 = (key: KeyObject): Buffer => key.export({ type: 'pkcs8', format: 'der' });

function privateKeys(): Buffer[] {
  const kinds: readonly TestKeyKind[] = ['P-256', 'P-384', 'P-521', 'ed25519', 'secp256k1', 'rsa-1024', 'rsa-2048'];
  return [
    ...kinds.map((kind) => pkcs8(newTestKey(kind).privateKey)),
    pkcs8(generateKeyPairSync('x25519').privateKey),
    newTestKey().privateKey.export({ type: 'sec1', format: 'der' }),
    newTestKey().privateKey.export({ type: 'pkcs8', format: 'der', cipher: 'aes-128-cbc', passphrase: 'x' }),
  ];
}

function ownSvids(): Buffer[] {
  const ca = issueCa();
  return (['P-256', 'ed25519', 'rsa-2048'] as const).map((kind) => {
    const leaf = issueSvid(ca, 'spiffe://td/a', { key: newTestKey(kind) });
    const chain = kind === 'P-256' ? [leaf.der, ca.der] : [leaf.der];
    return ownSvidInput(Buffer.concat(chain), pkcs8(leaf.key.privateKey));
  });
}

/** A token of each algorithm. */
function tokens(claims: object, type: string): Buffer[] {
  return Object.entries(ALGORITHMS).map(([alg, { keyId }]) => {
    const key = TOKEN_KEYS[keyId];
    if (key === undefined) throw new RangeError(`no key ${keyId}`);
    const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const payload = { sub: 'spiffe://example.org/x', exp: TOKEN_NOW + 300, ...claims };
    const signed = `${encoded({ alg, kid: keyId, typ: type })}.${encoded(payload)}`;
    return Buffer.from(`${signed}.${signAs(alg, key, signed)?.toString('base64url')}`);
  });
}

function configurations(root: string): Buffer[] {
  const texts = [
    'server {\n  bind_port = "8081" // a\n  trust_domain = "example.org" /* b\n */\n}\nplugins {\n  KeyManager "memory" {}\n}',
    'l = [1, 2.5, "three", true, [4, 5], {k = "v"},]\nn = [0x1F, 017, -3, 1e3]\nh = <<-EOT\n    one\n    EOT\n',
    's = "tab\\t \\x41 \\101 \\u00e9 \\U0001F600 ${ "x" }"\nunicode_ключ = 1',
    '{"server": {"bind_port": "8081", "ids": ["a", null, 1.5e3]}, "plugins": {"KeyManager": [{"disk": {}}]}}',
  ];
  const bundle = readFileSync(path.join(root, 'test/vectors/bundle-keys.json'), 'utf8').slice(0, 400);
  return [...texts, bundle].map((text) => Buffer.from(text));
}

function messages(): Buffer[] {
  const ca = issueCa();
  const leaf = issueSvid(ca, 'spiffe://example.org/x');
  const svid = { spiffe_id: 'spiffe://example.org/x', hint: 'h' };
  const x509 = { x509_svid: leaf.der, x509_svid_key: pkcs8(leaf.key.privateKey), bundle: ca.der };
  const bundle = bundleToDer({ x509Authorities: [{ certificate: ca.der, tainted: false }] });
  const [token = Buffer.of()] = tokens({ aud: ['a'], iat: TOKEN_NOW }, 'JWT');
  const jwks = Buffer.from('{"keys":[{"kty":"EC","kid":"a","use":"jwt-svid"}]}');
  const claims = toStruct({ sub: 'x', aud: ['a'], n: { exp: 1, ok: true, none: null } });
  const values: readonly (readonly [name: string, value: object])[] = [
    ['X509SVIDResponse', { svids: [{ ...svid, ...x509 }], crl: [], federated_bundles: { 'spiffe://td.test': bundle } }],
    ['X509BundlesResponse', { crl: [Buffer.of(1)], bundles: { 'spiffe://td.test': bundle, 'example.org': bundle } }],
    [
      'JWTSVIDResponse',
      {
        svids: [
          { ...svid, svid: token.toString() },
          { ...svid, svid: token.toString(), hint: '' },
        ],
      },
    ],
    ['JWTBundlesResponse', { bundles: { 'spiffe://td.test': jwks, 'spiffe://example.org': jwks } }],
    ['ValidateJWTSVIDResponse', { spiffe_id: 'spiffe://example.org/x', claims }],
    ['WITSVIDResponse', { svids: [{ ...svid, wit_svid: wit, wit_svid_key: JSON.stringify(holderPrivateJwk) }] }],
    ['WITBundlesResponse', { bundles: { 'spiffe://td.test': jwks.toString(), 'spiffe://example.org': '' } }],
  ];
  return values.map(([name, value], kind) => {
    const message = loadMessage<object, unknown>('workload.proto', name);
    return Buffer.concat([Buffer.of(kind), message.encode(value)]);
  });
}
