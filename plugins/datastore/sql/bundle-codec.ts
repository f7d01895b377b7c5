import type { Bundle, JwtAuthority, X509Authority } from '../../../spiffe/bundle/bundle.ts';
import { trustDomainId } from '../../../spiffe/id.ts';
import type { AdditionalAttributes } from '../../../spiffe/registration/entry.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { readFields, WireWriter } from './wire.ts';

/** The bytes of `bundles.data`: a `spire.common.Bundle` (proto/spire/common/common.proto). */
export function encodeBundle(bundle: Bundle): Buffer {
  const message = new WireWriter().text(1, trustDomainId(bundle.trustDomain));
  for (const authority of bundle.x509Authorities) {
    message.message(2, new WireWriter().bytes(1, authority.certificate).integer(2, authority.tainted).end());
  }
  for (const authority of bundle.jwtAuthorities) message.message(3, encodeKey(authority));
  message.integer(4, bundle.refreshHint).integer(5, bundle.sequenceNumber);
  for (const authority of bundle.witAuthorities) message.message(6, encodeKey(authority));
  return message.end();
}

/** @throws RangeError or SpiffeError when the bytes are not a bundle */
export function decodeBundle(data: Buffer): Bundle {
  const x509Authorities: X509Authority[] = [];
  const jwtAuthorities: JwtAuthority[] = [];
  const witAuthorities: JwtAuthority[] = [];
  let trustDomain = '';
  let refreshHint = 0;
  let sequenceNumber = 0n;
  for (const { number, bytes, integer } of readFields(data)) {
    if (number === 1) trustDomain = bytes.toString('utf8');
    else if (number === 2) x509Authorities.push(...decodeCertificates(bytes));
    else if (number === 3) jwtAuthorities.push(decodeKey(bytes));
    else if (number === 4) refreshHint = signed(integer);
    else if (number === 5) sequenceNumber = integer;
    else if (number === 6) witAuthorities.push(decodeKey(bytes));
  }
  return {
    trustDomain: parseTrustDomain(trustDomain),
    x509Authorities,
    jwtAuthorities,
    witAuthorities,
    refreshHint,
    sequenceNumber,
  };
}

function encodeKey(key: JwtAuthority): Buffer {
  return new WireWriter()
    .bytes(1, key.publicKey)
    .text(2, key.keyId)
    .integer(3, key.expiresAt)
    .integer(4, key.tainted)
    .end();
}

function decodeKey(data: Buffer): JwtAuthority {
  let publicKey: Buffer = Buffer.alloc(0);
  let keyId = '';
  let expiresAt = 0;
  let tainted = false;
  for (const { number, bytes, integer } of readFields(data)) {
    if (number === 1) publicKey = Buffer.from(bytes);
    else if (number === 2) keyId = bytes.toString('utf8');
    else if (number === 3) expiresAt = signed(integer);
    else if (number === 4) tainted = integer !== 0n;
  }
  return { publicKey, keyId, expiresAt, tainted };
}

function decodeCertificates(data: Buffer): X509Authority[] {
  let der: Buffer = Buffer.alloc(0);
  let tainted = false;
  for (const { number, bytes, integer } of readFields(data)) {
    if (number === 1) der = bytes;
    else if (number === 2) tainted = integer !== 0n;
  }
  return splitDer(der).map((certificate) => ({ certificate, tainted }));
}

/**
 * One record may hold several certificates one after the other, as older servers wrote them. Bytes that are no DER are
 * kept whole: whoever uses the authority judges it.
 */
function splitDer(ders: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  while (at < ders.length) {
    const length = derLength(ders.subarray(at));
    if (length === undefined || length > ders.length - at) return [Buffer.from(ders)];
    parts.push(Buffer.from(ders.subarray(at, at + length)));
    at += length;
  }
  return parts.length === 0 ? [Buffer.alloc(0)] : parts;
}

/** Length of the DER sequence at the start of `der`, header included (X.690 8.1.3). */
function derLength(der: Buffer): number | undefined {
  const first = der[1];
  if (der[0] !== 0x30 || first === undefined) return undefined;
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  return count === 0 || count > 4 || der.length < 2 + count ? undefined : 2 + count + der.readUIntBE(2, count);
}

/** The bytes of `registered_entries.additional_attributes`; empty when no switch is set. */
export function encodeAttributes(attributes: AdditionalAttributes): Buffer {
  return new WireWriter().integer(1, attributes.disableX509SvidPrefetch).integer(2, attributes.jwtSvidIncludeJti).end();
}

/** @throws RangeError when the bytes are not a message */
export function decodeAttributes(data: Buffer): AdditionalAttributes {
  let disableX509SvidPrefetch = false;
  let jwtSvidIncludeJti = false;
  for (const { number, integer } of readFields(data)) {
    if (number === 1) disableX509SvidPrefetch = integer !== 0n;
    else if (number === 2) jwtSvidIncludeJti = integer !== 0n;
  }
  return { disableX509SvidPrefetch, jwtSvidIncludeJti };
}

function signed(integer: bigint): number {
  return Number(BigInt.asIntN(64, integer));
}
