import { type KeyObject, sign, verify, X509Certificate } from 'node:crypto';
import { encodePem } from '../../../spiffe/x509/pem.ts';
import { parseX509Svid, x509SvidFromPem } from '../../../spiffe/x509/svid.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import { mutateDer } from '../mutate/der.ts';
import { must, mustBeSame, opinion, outcomeOf, ruleOf, type Mutator, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

/** An input is the length of the chain in two bytes, the chain and the key. */
export function ownSvidInput(chain: Buffer, pkcs8: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(chain.length);
  return Buffer.concat([length, chain, pkcs8]);
}

function partsOf(input: Buffer): [chain: Buffer, pkcs8: Buffer] {
  const end = 2 + (input.length < 2 ? 0 : input.readUInt16BE(0));
  return [input.subarray(2, end), input.subarray(end)];
}

const mutate: Mutator = (input, random, other) => {
  const [chain, key] = partsOf(input);
  const change = random.oneIn(8) ? mutateBytes : mutateDer;
  if (random.oneIn(8)) {
    // A key of the right form that is another one.
    const changed = Buffer.from(key);
    const at = random.int(changed.length);
    if (changed.length > 0) changed[at] = (changed[at] ?? 0) ^ (1 << random.int(8));
    return ownSvidInput(chain, changed);
  }
  if (random.oneIn(4))
    return ownSvidInput(
      chain,
      change(key, random, () => partsOf(other())[1]),
    );
  if (random.oneIn(8)) return ownSvidInput(chain, partsOf(other())[1]);
  return ownSvidInput(change(chain, random, () => partsOf(other())[0]).subarray(0, 0xffff), key);
};

/** One's own X509-SVID: what is accepted is the certificate of the key, by OpenSSL too. */
export const ownX509SvidTarget: Target = {
  name: 'x509-svid',
  maxLength: 8192,
  mutate,
  execute(input, isThorough) {
    const [chain, key] = partsOf(input);
    const isAllowed = spiffeErrors('invalid-certificate', 'invalid-key', 'invalid-x509-svid');
    const outcome = outcomeOf(() => parseX509Svid(chain, key), isAllowed);
    if ('refused' in outcome) return ruleOf(outcome.refused);
    const { id, chain: certificates, privateKey } = outcome.value;
    const theirs = new X509Certificate(certificates[0].der);
    must(theirs.checkPrivateKey(privateKey), 'the key fits by OpenSSL');
    must(isPair(privateKey, theirs.publicKey), 'the certificate proves what the key signs');
    must(!theirs.ca, 'not a CA by OpenSSL');
    must((theirs.subjectAltName ?? '').includes(`URI:${id}`), 'the ID by OpenSSL');
    if (isThorough) {
      const blocks = certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
      mustBeSame(x509SvidFromPem(blocks, encodePem('PRIVATE KEY', key)).id, id, 'the same from PEM');
    }
    return `accepted ${Math.min(certificates.length, 8)}`;
  },
};

/** Keys that only agree on secrets sign nothing, and so prove nothing wrong. */
function isPair(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const data = Buffer.from('data');
  const digest = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const signature = opinion(() => sign(digest, data, privateKey));
  return signature !== undefined && verify(digest, data, publicKey, signature.value);
}
