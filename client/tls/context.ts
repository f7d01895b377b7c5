import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { FinialError } from '../../common/errors.ts';
import { certificatesToPem, encodePem } from '../../spiffe/x509/pem.ts';
import type { X509Svid, X509SvidProvider } from '../source.ts';

/**
 * Mozilla's "intermediate" list (SPIFFE Federation 5 asks for it; there is no reason to take less elsewhere), but for its
 * finite field Diffie-Hellman: a server of Node has no parameters for it, and nothing that speaks TLS 1.2 needs it.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** What is presented to the other end. */
export interface Certificate {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

/**
 * What every context of ours has. No tickets and no renegotiation: a resumed session would carry no chain to verify, and
 * would outlive the bundle that vouched for its peer.
 */
export function contextOptions(certificate: Certificate | undefined): SecureContextOptions {
  return {
    ...certificate,
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

const certificates = new WeakMap<X509Svid, Certificate>();

/** An X509-SVID as TLS wants it; converted once for each. */
export function certificateOf(svid: X509Svid): Certificate {
  const known = certificates.get(svid);
  if (known !== undefined) return known;
  const key = svid.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const made = { cert: certificatesToPem(svid.chain), key };
  certificates.set(svid, made);
  return made;
}

/** Where an identity to present may come from: an X509Source, or a source of bundles alone, which has none. */
export type MaybeSvidProvider = Partial<Pick<X509SvidProvider, 'svid'>>;

/**
 * The identity to present now.
 *
 * @param now Unix milliseconds
 * @throws FinialError `unavailable` when it has expired, whatever its source thinks of that; `failed-precondition` when the
 * source is one of bundles alone; what the source throws
 */
export function svidToPresent(source: MaybeSvidProvider, now: number): X509Svid {
  const { svid } = source;
  if (svid === undefined) throw new FinialError('failed-precondition', 'this source has no X509-SVID to present');
  if (svid.notAfter > now) return svid;
  throw new FinialError('unavailable', `the X509-SVID of ${svid.id} has expired`);
}

/**
 * The context of one client connection: what it presents, and the roots that OpenSSL checks the server against.
 *
 * @throws FinialError `unauthenticated` without roots: nobody could be verified, and Node has roots of its own
 */
export function clientContext(svid: X509Svid | undefined, roots: readonly Buffer[]): SecureContext {
  if (roots.length === 0)
    throw new FinialError('unauthenticated', 'no X.509 bundle of an acceptable trust domain is held');
  return createSecureContext({
    ...contextOptions(svid === undefined ? undefined : certificateOf(svid)),
    // A list, since Node takes an empty text for "the public roots".
    ca: roots.map((der) => encodePem('CERTIFICATE', der)),
    // X509-SVID 6.1: an authority need not be self-signed.
    allowPartialTrustChain: true,
  });
}

interface HeldContext {
  readonly svid: X509Svid | undefined;
  readonly roots: readonly Buffer[];
  readonly context: SecureContext;
}

/** The contexts of a source that were used last: of one for each set of trust domains that its authorizers accept. */
const held = new WeakMap<object, readonly HeldContext[]>();
const MOST_HELD = 8;

/** As `clientContext`; made once for the same identity and roots. @param source whose they are */
export function heldClientContext(source: object, svid: X509Svid | undefined, roots: readonly Buffer[]): SecureContext {
  const known = held.get(source) ?? [];
  const same = known.find((one) => one.svid === svid && sameList(one.roots, roots));
  const now = same ?? { svid, roots, context: clientContext(svid, roots) };
  held.set(source, [now, ...known.filter((one) => one !== now)].slice(0, MOST_HELD));
  return now.context;
}

function sameList(some: readonly Buffer[], others: readonly Buffer[]): boolean {
  return some.length === others.length && some.every((one, index) => one === others[index]);
}
