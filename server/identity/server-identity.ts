import type { KeyObject } from 'node:crypto';
import type { Clock } from '../../common/clock.ts';
import { messageOf } from '../../common/errors.ts';
import { every } from '../../common/every.ts';
import type { Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { TlsIdentity } from '../../common/net/tls-listener.ts';
import { type Observable, subject } from '../../common/observable.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import { isPastHalfLife } from '../../spiffe/rotation.ts';
import type { KeyType } from '../../spiffe/signer.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';

/** An X509-SVID of the server as its CA issues it. Times are Unix seconds. */
export interface IssuedServerSvid {
  readonly id: SpiffeId;
  /** DER, leaf first, without the root. */
  readonly chain: readonly Buffer[];
  readonly notBefore: number;
  readonly expiresAt: number;
}

/** Who signs, and under which bundle. */
export interface ServerIdentityDeps {
  readonly issuer: { serverX509Svid(request: { readonly publicKey: Buffer }): Promise<IssuedServerSvid> };
  /** The bundle of the own trust domain, which says which authorities are tainted. */
  readonly bundle: Observable<Bundle>;
  readonly keyType: KeyType;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the server shows its callers: an X509-SVID for `spiffe://<td>/spire/server`, whose key never leaves memory. */
export interface ServerIdentity {
  readonly identity: Observable<ServerSvid>;
  /** Looks every 5 s whether it is time for a new one. */
  readonly run: Task;
}

/** The identity in use. */
export interface ServerSvid extends TlsIdentity, IssuedServerSvid {
  readonly privateKey: KeyObject;
}

const CHECK_INTERVAL_MS = 5000;

/** @throws FinialError when the first SVID cannot be issued */
export async function startServerIdentity(deps: ServerIdentityDeps): Promise<ServerIdentity> {
  const { bundle, clock, log } = deps;
  const identity = subject(await newSvid(deps));
  const check = async (): Promise<void> => {
    const tainted = isUnderTaintedAuthority(identity.current.chain, bundle.current);
    if (!tainted && !isDue(identity.current, clock.now())) return;
    if (tainted) log.info('Server SVID signed using a tainted authority, forcing rotation of the Server SVID');
    try {
      identity.publish(await newSvid(deps));
    } catch (error) {
      log.error('Could not rotate server SVID', { error: messageOf(error) });
    }
  };
  return { identity, run: (signal) => every(CHECK_INTERVAL_MS, clock, signal, check) };
}

async function newSvid({ issuer, keyType, log }: ServerIdentityDeps): Promise<ServerSvid> {
  log.debug('Rotating server SVID');
  const { privateKey, publicKey } = await generateSigner(keyType);
  const issued = await issuer.serverX509Svid({ publicKey });
  log.debug('Signed X509 SVID', { spiffe_id: issued.id, expiration: new Date(issued.expiresAt * 1000).toISOString() });
  return Object.freeze({ ...issued, privateKey });
}

/** Also when the clock was set back to before it was made, as nobody with the same clock takes it then. */
function isDue({ notBefore, expiresAt }: IssuedServerSvid, now: number): boolean {
  return now < notBefore * 1000 || isPastHalfLife({ notBefore: notBefore * 1000, notAfter: expiresAt * 1000 }, now);
}

/** Whether a certificate of the chain was signed by a key that the bundle marks as tainted. */
function isUnderTaintedAuthority(chain: readonly Buffer[], bundle: Bundle): boolean {
  const tainted = bundle.x509Authorities
    .filter((authority) => authority.tainted)
    .map((authority) => parseCertificate(authority.certificate).subjectKeyId);
  if (tainted.length === 0) return false;
  const issuers = chain.map((certificate) => parseCertificate(certificate).authorityKeyId);
  return issuers.some((issuer) => tainted.some((keyId) => issuer !== undefined && keyId?.equals(issuer)));
}
