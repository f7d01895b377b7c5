import { encode, sequence } from '../../../spiffe/x509/der-writer.ts';
import { extension } from '../../support/pki.ts';

/** A critical extension that nobody knows. */
export const unknownCriticalExtension = extension('1.2.3.4', true, Buffer.of(5, 0));

/** Name constraints that permit the DNS name `a` (RFC 5280 4.2.1.10). */
export const nameConstraintsExtension = extension(
  '2.5.29.30',
  true,
  sequence(encode(0xa0, sequence(encode(0x82, Buffer.from('a'))))),
);
