import { SpiffeError } from '../error.ts';

/** Object identifiers by the names of the standards that assign them. */
export const OID = {
  // RFC 5280 4.2: certificate extensions
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  // RFC 5280 4.2.1.12
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  // RFC 2985 5.4.2
  extensionRequest: '1.2.840.113549.1.9.14',
  // RFC 3279 2.3, RFC 5480 2.1.1, RFC 8410 3: public keys
  rsaEncryption: '1.2.840.113549.1.1.1',
  ecPublicKey: '1.2.840.10045.2.1',
  ed25519: '1.3.101.112',
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
  p521: '1.3.132.0.35',
  // X.520: attributes of names
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  province: '2.5.4.8',
  streetAddress: '2.5.4.9',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  postalCode: '2.5.4.17',
  // RFC 2985 5.2.1
  emailAddress: '1.2.840.113549.1.9.1',
} as const;

/** Nothing assigned comes near; it bounds the work of reading one. */
const MAX_OID_BYTES = 64;

/** The identifiers above by their content, as certificates hold few others. */
const known = new Map<string, string>(
  Object.values(OID).map((dotted) => [encodeOidContent(dotted).toString('latin1'), dotted]),
);

/**
 * The dotted form of the content of an OBJECT IDENTIFIER.
 *
 * @throws SpiffeError `invalid-der` when it is empty, cut short, too long or not the shortest form (X.690 8.19.2)
 */
export function decodeOidContent(content: Buffer, what: string): string {
  const cached = known.get(content.toString('latin1'));
  if (cached !== undefined) return cached;
  if (content.length === 0 || content.length > MAX_OID_BYTES) throw malformed(what);
  const arcs: bigint[] = [];
  let arc = 0n;
  let atStart = true;
  for (const byte of content) {
    if (atStart && byte === 0x80) throw malformed(what);
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    atStart = (byte & 0x80) === 0;
    if (!atStart) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (!atStart) throw malformed(what);
  const [first = 0n, ...rest] = arcs;
  // X.690 8.19.4: the first two arcs share one number; only below the root 2 may the second exceed 39.
  const root = first < 40n ? 0n : first < 80n ? 1n : 2n;
  return [root, first - root * 40n, ...rest].join('.');
}

/**
 * The content octets of an OBJECT IDENTIFIER.
 *
 * @param dotted such as `2.5.29.17`
 * @throws TypeError when it is not an object identifier
 */
export function encodeOidContent(dotted: string): Buffer {
  if (!/^[0-2](\.(0|[1-9]\d*))+$/.test(dotted)) throw new TypeError(`not an object identifier: ${dotted}`);
  const [root = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  if (root < 2n && second > 39n) throw new TypeError(`not an object identifier: ${dotted}`);
  const bytes: number[] = [];
  for (const arc of [root * 40n + second, ...rest]) {
    const septets = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) septets.unshift(Number(left & 0x7fn) | 0x80);
    bytes.push(...septets);
  }
  return Buffer.from(bytes);
}

function malformed(what: string): SpiffeError {
  return new SpiffeError('invalid-der', `${what} is not a well-formed object identifier`);
}
