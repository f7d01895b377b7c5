import type { Clock } from '../../common/clock.ts';
import { FinialError, messageOf } from '../../common/errors.ts';
import { spiffeId } from '../../spiffe/id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import { signCertificate, x509SvidTemplate } from '../../spiffe/x509/profile.ts';
import { newSerialNumber } from '../../spiffe/x509/serial-number.ts';
import { validateX509Ca } from '../../spiffe/x509/validate.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import type { X509CaView } from './x509-ca.ts';

/** A CA that is about to be used, and what it has to be good for. */
export interface X509CaCheck {
  readonly trustDomain: TrustDomain;
  readonly clock: Clock;
  readonly random: (size: number) => Buffer;
  readonly ca: X509CaView;
  /** DER of what is about to be, or already is, in the bundle. */
  readonly roots: readonly Buffer[];
}

const THROWAWAY_PATH = '/spire/throwaway';

/**
 * Makes sure, before anything depends on a new CA, that what it signs will be accepted: signs an X509-SVID that nobody
 * gets and verifies its chain as a workload would.
 *
 * @throws FinialError `internal` that says what is wrong with the CA
 */
export async function checkX509Ca({ ca, clock, random, roots, trustDomain }: X509CaCheck): Promise<void> {
  try {
    const now = clock.now();
    validateX509Ca(ca.details, { trustDomain, publicKey: ca.signer.publicKey, now });
    const { publicKey } = await generateSigner('ec-p256');
    const template = x509SvidTemplate({
      id: spiffeId(trustDomain, THROWAWAY_PATH),
      serialNumber: newSerialNumber(random),
      now,
      ttlMs: ca.details.notAfter - now,
      publicKey,
      issuer: ca.details,
    });
    const leaf = await signCertificate(template, ca.issuer);
    verifyX509Svid([leaf, ...ca.chain], (name) => (name === trustDomain ? roots : undefined), now);
  } catch (error) {
    throw new FinialError('internal', `X509 CA is invalid: ${messageOf(error)}`, { cause: error });
  }
}
