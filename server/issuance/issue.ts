import type { Clock } from '../../common/clock.ts';
import { unixSeconds } from '../../common/clock.ts';
import { FinialError, messageOf } from '../../common/errors.ts';
import type { Observable } from '../../common/observable.ts';
import { isMemberOf, pathOf, type SpiffeId, spiffeId } from '../../spiffe/id.ts';
import { isMadeInFuture } from '../../spiffe/rotation.ts';
import { signJwtSvid } from '../../spiffe/jwt/sign.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { type Certificate, parseCertificate } from '../../spiffe/x509/certificate.ts';
import type { Subject } from '../../spiffe/x509/name.ts';
import { signCertificate, x509SvidTemplate } from '../../spiffe/x509/profile.ts';
import { newSerialNumber } from '../../spiffe/x509/serial-number.ts';
import { validateX509Svid, type WantedX509Svid } from '../../spiffe/x509/validate.ts';
import type { JwtKeyView } from '../ca/jwt-key.ts';
import type { X509CaView } from '../ca/x509-ca.ts';

/** An X509-SVID that this server signed. Times are Unix seconds. */
export interface IssuedX509Svid {
  readonly id: SpiffeId;
  /** DER, leaf first, then what leads to the root, without it. */
  readonly chain: readonly Buffer[];
  /** Decimal, of the leaf. */
  readonly serialNumber: string;
  readonly notBefore: number;
  readonly expiresAt: number;
}

/** A JWT-SVID that this server signed. Times are Unix seconds. */
export interface IssuedJwtSvid {
  readonly id: SpiffeId;
  readonly token: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** A workload's X509-SVID to be signed. */
export interface WorkloadX509Request {
  /** DER of the SubjectPublicKeyInfo, from a request whose signature was verified. */
  readonly publicKey: Buffer;
  readonly id: SpiffeId;
  /** The first is also the common name. */
  readonly dnsNames: readonly string[];
  /** Seconds; the configured default when 0 or less. */
  readonly ttl: number;
  /** The default one when absent or empty; only minting takes it from the request. */
  readonly subject?: Subject;
}

/** A JWT-SVID to be signed. */
export interface JwtRequest {
  readonly id: SpiffeId;
  /** Empty values are dropped; one must be left. */
  readonly audience: readonly string[];
  /** Seconds; the configured default when 0 or less. */
  readonly ttl: number;
  /** Whether each token carries an ID of its own. */
  readonly includeJti: boolean;
}

/** Signs SVIDs with the authorities that are active. It does not ask who wants them: its callers have decided that. */
export interface Issuer {
  workloadX509Svid(request: WorkloadX509Request): Promise<IssuedX509Svid>;
  agentX509Svid(request: { readonly publicKey: Buffer; readonly id: SpiffeId }): Promise<IssuedX509Svid>;
  /** For `spiffe://<td>/spire/server`. */
  serverX509Svid(request: { readonly publicKey: Buffer }): Promise<IssuedX509Svid>;
  jwtSvid(request: JwtRequest): Promise<IssuedJwtSvid>;
}

/** Lifetimes in milliseconds. */
export interface IssuerConfig {
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
  readonly agentTtl: number;
  /** The `iss` claim; none when empty. */
  readonly jwtIssuer: string;
}

/** What signing takes. */
export interface IssuerDeps {
  readonly trustDomain: TrustDomain;
  readonly config: IssuerConfig;
  readonly authorities: {
    readonly x509: Observable<X509CaView | undefined>;
    readonly jwt: Observable<JwtKeyView | undefined>;
  };
  readonly clock: Clock;
  /** Random bytes. */
  readonly random: (size: number) => Buffer;
}

/** An issuer over the authorities that are active at the moment of each call. */
export function issuerOf(deps: IssuerDeps): Issuer {
  const { config, trustDomain } = deps;
  const serverId = spiffeId(trustDomain, '/spire/server');
  const orDefault = (ttl: number, fallback: number): number => (ttl > 0 ? ttl * 1000 : fallback);
  return {
    workloadX509Svid: ({ ttl, ...svid }) => signX509Svid(deps, { ...svid, ttlMs: orDefault(ttl, config.x509SvidTtl) }),
    agentX509Svid: (svid) => signX509Svid(deps, { ...svid, ttlMs: config.agentTtl }),
    serverX509Svid: (svid) => signX509Svid(deps, { ...svid, id: serverId, ttlMs: config.x509SvidTtl }),
    jwtSvid: ({ ttl, ...svid }) => signJwt(deps, { ...svid, ttlMs: orDefault(ttl, config.jwtSvidTtl) }),
  };
}

type X509Wish = Pick<WorkloadX509Request, 'publicKey' | 'id' | 'subject'> & {
  readonly dnsNames?: readonly string[];
  readonly ttlMs: number;
};

/** Template, signature, check: whatever may come between the first two, what leaves here follows the profile. */
async function signX509Svid(deps: IssuerDeps, wish: X509Wish): Promise<IssuedX509Svid> {
  const { authorities, clock, random } = deps;
  requireMember(deps, wish.id, 'X509-SVID');
  const ca = authorities.x509.current;
  const now = clock.now();
  if (ca === undefined || ca.notAfter * 1000 <= now || isMadeInFuture({ notBefore: ca.issuedAt * 1000 }, now)) {
    throw new FinialError('internal', 'X509 CA is not available for signing');
  }
  const template = x509SvidTemplate({ ...wish, serialNumber: newSerialNumber(random), now, issuer: ca.details });
  const leaf = await signCertificate(template, ca.issuer);
  const { notAfter, notBefore } = parseAndValidate(leaf, { dnsNames: [], ...wish, issuer: ca.details, now });
  return {
    id: wish.id,
    chain: [leaf, ...ca.chain],
    serialNumber: template.serialNumber.toString(),
    notBefore: Math.floor(notBefore / 1000),
    expiresAt: Math.floor(notAfter / 1000),
  };
}

async function signJwt(
  deps: IssuerDeps,
  { audience, id, includeJti, ttlMs }: Omit<JwtRequest, 'ttl'> & { readonly ttlMs: number },
): Promise<IssuedJwtSvid> {
  const { authorities, clock, config, random } = deps;
  requireMember(deps, id, 'JWT-SVID');
  const key = authorities.jwt.current;
  const issuedAt = unixSeconds(clock);
  if (key === undefined || key.notAfter <= issuedAt) {
    throw new FinialError('internal', 'JWT key is not available for signing');
  }
  const expiresAt = Math.min(Math.floor((clock.now() + ttlMs) / 1000), key.notAfter);
  const token = await signJwtSvid({
    signer: key.signer,
    keyId: key.keyId,
    id,
    audience,
    issuedAt,
    expiresAt,
    issuer: config.jwtIssuer,
    ...(includeJti && { jwtId: newJwtId(random) }),
  });
  return { id, token, issuedAt, expiresAt };
}

/** What is wrong with our own output is our fault, never the caller's. */
function parseAndValidate(leaf: Buffer, wanted: WantedX509Svid): Certificate {
  try {
    const certificate = parseCertificate(leaf);
    validateX509Svid(certificate, wanted);
    return certificate;
  } catch (error) {
    throw new FinialError('internal', messageOf(error), { cause: error });
  }
}

function requireMember({ trustDomain }: IssuerDeps, id: SpiffeId, what: string): void {
  const problem = `invalid ${what} ID: "${id}" is not a member of trust domain "${trustDomain}"`;
  if (!isMemberOf(id, trustDomain)) throw new FinialError('internal', problem);
  if (pathOf(id) === '') throw new FinialError('internal', `${problem}; path is empty`);
}

/** The bytes of a version 4 UUID (RFC 9562 5.4), as the reference encodes them. */
function newJwtId(random: (size: number) => Buffer): string {
  const bytes = Buffer.from(random(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('base64url');
}
