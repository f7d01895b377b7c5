import { createPublicKey, randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '../../common/clock.ts';
import { subject } from '../../common/observable.ts';
import { type Bundle, frozenBundle, type JwtAuthority } from '../../spiffe/bundle/bundle.ts';
import { parseSpiffeId, type SpiffeId, trustDomainOf } from '../../spiffe/id.ts';
import { type JwtSigningKey, signJwtSvid } from '../../spiffe/jwt/sign.ts';
import type { KeyType } from '../../spiffe/signer.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';
import { signWitSvid } from '../../spiffe/wit/sign.ts';
import { generateSigner, type PrivateKeySigner } from '../../spiffe/x509/key.ts';
import {
  authorityId,
  selfSigned,
  selfSignedCaTemplate,
  signCertificate,
  subjectKeyId,
  x509SvidTemplate,
} from '../../spiffe/x509/profile.ts';
import { newSerialNumber } from '../../spiffe/x509/serial-number.ts';
import { parseX509Svid } from '../../spiffe/x509/svid.ts';
import type { JwtBundleProvider, X509BundleProvider, X509Svid } from '../source.ts';

/** How a TestAuthority makes what it makes. */
export interface TestAuthorityOptions {
  /** Tells when certificates and tokens begin; the machine's own when absent. */
  readonly clock?: Pick<Clock, 'now'>;
  /** Of all keys: authorities, SVIDs, tokens. `ec-p256` when absent, as RSA keys take long to make. */
  readonly keyType?: KeyType;
  /** How long a root certificate is valid, seconds; a year when absent. No SVID outlives its root. */
  readonly caTtlSeconds?: number;
}

/** What an X509-SVID says besides its ID. */
export interface X509SvidOptions {
  /** An hour when absent. */
  readonly ttlSeconds?: number;
  /** Unix ms at which it is issued, the clock's time when absent: an SVID of yesterday has expired. */
  readonly issuedAt?: number;
  /** What the operator calls it; no name when absent. */
  readonly hint?: string;
  /** The first is also the common name. */
  readonly dnsNames?: readonly string[];
}

/** What a JWT-SVID says besides its ID and audience. */
export interface JwtSvidOptions {
  /** Five minutes when absent. */
  readonly ttlSeconds?: number;
  /** Unix ms, the clock's time when absent. */
  readonly issuedAt?: number;
}

/** A WIT-SVID with its key, as the Workload API hands them out. */
export interface IssuedWitSvid {
  readonly id: SpiffeId;
  readonly token: string;
  /** The private key, a JWK as JSON. */
  readonly key: string;
}

/**
 * A trust domain for tests: issues real X509-SVIDs and JWT-SVIDs, and publishes the bundle that verifies them. All keys
 * are in memory and new in each process. As a provider of bundles it knows its own trust domain only.
 */
export interface TestAuthority extends X509BundleProvider, JwtBundleProvider {
  readonly trustDomain: TrustDomain;
  /** What verifies its SVIDs now. Its sequence number grows with each change, from 1. */
  readonly bundle: Bundle;
  /**
   * A new key and certificate that chain up to the newest root.
   *
   * @throws SpiffeError when `id` is not a SPIFFE ID of this trust domain, or the names do not fit into a certificate
   */
  issueX509(id: string, options?: X509SvidOptions): Promise<X509Svid>;
  /**
   * A new SVID that says what `svid` says, with a new key, from now on and for as long.
   *
   * @throws TypeError for one that `issueX509` of this authority did not make
   */
  renewX509(svid: X509Svid): Promise<X509Svid>;
  /**
   * A token for `audience`, signed with the newest key.
   *
   * @throws SpiffeError when `id` is not a SPIFFE ID of this trust domain, or no audience is given
   */
  issueJwt(id: string, audience: readonly string[], options?: JwtSvidOptions): Promise<string>;
  /**
   * A WIT-SVID (incubating) with a new key.
   *
   * @throws SpiffeError as `issueX509`
   */
  issueWit(id: string, options?: JwtSvidOptions): Promise<IssuedWitSvid>;
  /** A new root and new keys for tokens, used from now on. The old ones stay in the bundle until `retire`. */
  rotate(): Promise<void>;
  /** Drops all but the newest root and key from the bundle: what older ones signed verifies no more. */
  retire(): void;
  /** Calls back after each change of the bundle until the returned function is called. */
  onUpdate(listener: () => void): () => void;
}

const HOUR_S = 3600;
const YEAR_S = 365 * 24 * HOUR_S;
const JWT_TTL_S = 300;

/** Everything that a root or key is used for. */
interface Generation {
  readonly ca: { readonly signer: PrivateKeySigner; readonly der: Buffer; readonly template: Template };
  readonly jwt: TokenKey;
  readonly wit: TokenKey;
}
interface TokenKey {
  readonly signer: PrivateKeySigner;
  readonly authority: JwtAuthority;
}
type Template = ReturnType<typeof selfSignedCaTemplate>;

/**
 * Makes a trust domain.
 *
 * @param trustDomain name or ID
 * @throws SpiffeError `invalid-trust-domain`
 */
export async function createTestAuthority(
  trustDomain: string,
  options: TestAuthorityOptions = {},
): Promise<TestAuthority> {
  const own = parseTrustDomain(trustDomain);
  const { clock = systemClock, keyType = 'ec-p256', caTtlSeconds = YEAR_S } = options;
  const generate = (): Promise<Generation> => newGeneration(own, keyType, clock.now(), caTtlSeconds * 1000);
  let newest = await generate();
  const published = subject(bundleOf(own, [newest], 1n));
  let generations = [newest];
  const issued = new WeakMap<X509Svid, X509SvidOptions>();
  const issue = async (id: string, options: X509SvidOptions): Promise<X509Svid> => {
    const svid = await issueX509(newest, idWithin(own, id), keyType, { issuedAt: clock.now(), ...options });
    issued.set(svid, options);
    return svid;
  };
  const publish = (kept: Generation[]): void => {
    generations = kept;
    published.publish(bundleOf(own, kept, published.current.sequenceNumber + 1n));
  };
  return {
    trustDomain: own,
    get bundle() {
      return published.current;
    },
    get x509Bundles() {
      return new Map([[own, rootsOf(published.current)]]);
    },
    get jwtBundles() {
      return new Map([[own, published.current.jwtAuthorities]]);
    },
    issueX509: (id, svid = {}) => issue(id, svid),
    async renewX509(svid) {
      const options = issued.get(svid);
      if (options === undefined) throw new TypeError(`${svid.id} was not issued by this authority`);
      const { issuedAt: _then, ...same } = options;
      return issue(svid.id, same);
    },
    issueJwt: async (id, audience, { ttlSeconds = JWT_TTL_S, issuedAt = clock.now() } = {}) =>
      signJwtSvid({ id: idWithin(own, id), audience, ...lifetime(issuedAt, ttlSeconds), ...signingKey(newest.jwt) }),
    issueWit: (id, svid = {}) => issueWit(newest, idWithin(own, id), { issuedAt: clock.now(), ...svid }),
    async rotate() {
      newest = await generate();
      publish([...generations, newest]);
    },
    retire: () => publish([newest]),
    onUpdate: (listener) => published.subscribe(() => listener()),
  };
}

const roots = new WeakMap<Bundle, readonly Buffer[]>();

/** The root certificates (DER) of a bundle: the same list for the same bundle, as verifiers remember what they read. */
export function rootsOf(bundle: Bundle): readonly Buffer[] {
  const known = roots.get(bundle);
  if (known !== undefined) return known;
  const ders = Object.freeze(bundle.x509Authorities.map(({ certificate }) => certificate));
  roots.set(bundle, ders);
  return ders;
}

async function newGeneration(
  trustDomain: TrustDomain,
  keyType: KeyType,
  now: number,
  ttlMs: number,
): Promise<Generation> {
  const [ca, jwt, wit] = await Promise.all([generateSigner(keyType), tokenKey(keyType), tokenKey(keyType)]);
  const serialNumber = newSerialNumber(randomBytes);
  const { publicKey } = ca;
  const template = selfSignedCaTemplate({ serialNumber, now, ttlMs, publicKey, trustDomain, subject: {} });
  const der = await signCertificate(template, selfSigned(template, ca));
  return { ca: { signer: ca, der, template }, jwt, wit };
}

/** One for each kind of token, as no key serves two kinds. */
async function tokenKey(keyType: KeyType): Promise<TokenKey> {
  const signer = await generateSigner(keyType);
  const { publicKey } = signer;
  return { signer, authority: { publicKey, keyId: authorityId(publicKey), expiresAt: 0, tainted: false } };
}

function signingKey({ signer, authority }: TokenKey): JwtSigningKey {
  return { signer, keyId: authority.keyId };
}

/** Whole seconds, as tokens have them. */
function lifetime(issuedAt: number, ttlSeconds: number): { readonly issuedAt: number; readonly expiresAt: number } {
  const seconds = Math.floor(issuedAt / 1000);
  return { issuedAt: seconds, expiresAt: seconds + ttlSeconds };
}

function bundleOf(trustDomain: TrustDomain, generations: readonly Generation[], sequenceNumber: bigint): Bundle {
  return frozenBundle({
    trustDomain,
    x509Authorities: generations.map(({ ca }) => ({ certificate: ca.der, tainted: false })),
    jwtAuthorities: generations.map(({ jwt }) => jwt.authority),
    witAuthorities: generations.map(({ wit }) => wit.authority),
    refreshHint: 0,
    sequenceNumber,
  });
}

async function issueX509(
  { ca }: Generation,
  id: SpiffeId,
  keyType: KeyType,
  { ttlSeconds = HOUR_S, issuedAt, hint = '', dnsNames = [] }: X509SvidOptions & { readonly issuedAt: number },
): Promise<X509Svid> {
  const signer = await generateSigner(keyType);
  const { publicKey } = signer;
  const template = x509SvidTemplate({
    ...{ id, dnsNames, publicKey, now: issuedAt, ttlMs: ttlSeconds * 1000, issuer: ca.template },
    serialNumber: newSerialNumber(randomBytes),
  });
  const issuer = { signer: ca.signer, subject: ca.template.subject, subjectKeyId: subjectKeyId(ca.signer.publicKey) };
  const { chain, privateKey } = parseX509Svid(await signCertificate(template, issuer), signer.pkcs8());
  const [{ notBefore, notAfter }] = chain;
  return Object.freeze({
    id,
    chain: Object.freeze(chain.map(({ der }) => der)),
    privateKey,
    notBefore,
    notAfter,
    hint,
  });
}

/** Always with a P-256 key of its own: what the token is bound to need not be of the authority's kind. */
async function issueWit(
  { wit }: Generation,
  id: SpiffeId,
  { ttlSeconds = HOUR_S, issuedAt }: JwtSvidOptions & { readonly issuedAt: number },
): Promise<IssuedWitSvid> {
  const { privateKey } = await generateSigner('ec-p256');
  const confirmation = { key: createPublicKey(privateKey), algorithm: 'ES256' } as const;
  const token = await signWitSvid({ id, confirmation, ...lifetime(issuedAt, ttlSeconds), ...signingKey(wit) });
  return { id, token, key: JSON.stringify({ ...privateKey.export({ format: 'jwk' }), alg: 'ES256' }) };
}

/** @throws SpiffeError `invalid-id`; TypeError for an ID of another trust domain, which this one cannot vouch for */
function idWithin(trustDomain: TrustDomain, text: string): SpiffeId {
  const id = parseSpiffeId(text);
  if (trustDomainOf(id) !== trustDomain) throw new TypeError(`${id} is not of the trust domain ${trustDomain}`);
  return id;
}
