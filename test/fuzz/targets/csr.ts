import 'reflect-metadata';
import { createPublicKey, sign, verify } from 'node:crypto';
import * as peculiar from '@peculiar/x509';
import { type CertificateRequest, parseCsr, verifyCsrSignature } from '../../../spiffe/x509/csr.ts';
import {
  bitString,
  encode,
  integer,
  objectIdentifier,
  octetString,
  sequence,
} from '../../../spiffe/x509/der-writer.ts';
import { formatName } from '../../../spiffe/x509/name.ts';
import { ed25519Key } from '../keys.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { mutateDer } from '../mutate/der.ts';
import { readTrees, writeTrees } from '../mutate/der-tree.ts';
import { laterOutcomeOf, must, opinion, outcomeOf, ruleOf, type Mutator, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

const key = ed25519Key('csr');
const ED25519 = sequence(objectIdentifier('1.3.101.112'));

/** The request with another key, signed by it: what an honest owner of a key may make of the rest. */
const signed: Mutator = (input, random, other) => {
  const changed = mutateDer(input, random, other);
  const [request] = readTrees(changed) ?? [];
  const info = request?.children?.[0];
  if (info?.children === undefined) return changed;
  const at = info.children.findIndex(({ tag }, index) => tag === 0x30 && index >= 2);
  const [spki] = readTrees(key.spki) ?? [];
  if (at >= 0 && spki !== undefined) info.children[at] = spki;
  const der = writeTrees([info]);
  return sequence(der, ED25519, bitString(sign(null, der, key.privateKey)));
};

function requestWith(attributes: Buffer): Buffer {
  const info = sequence(integer(0), sequence(), key.spki, encode(0xa0, attributes));
  return sequence(info, ED25519, bitString(sign(null, info, key.privateKey)));
}

function withExtensions(size: number): Buffer {
  const one = (_: unknown, index: number): Buffer =>
    sequence(objectIdentifier(`1.2.3.${index}`), octetString(Buffer.of(5, 0)));
  const list = sequence(...Array.from({ length: size }, one));
  return requestWith(sequence(objectIdentifier('1.2.840.113549.1.9.14'), encode(0x31, list)));
}

/** Certificate requests: reading, and whether the signature is right. */
export const csrTarget: Target = {
  name: 'csr',
  maxLength: 8192,
  mutate: mixed([5, mutateDer], [1, mutateBytes], [4, signed]),
  growth: [
    { what: 'requested extensions', from: 16_000, of: withExtensions },
    {
      what: 'attributes',
      from: 16_000,
      of: (size) => requestWith(Buffer.alloc(size * 9, sequence(objectIdentifier('1.2.3.4'), encode(0x31)))),
    },
  ],
  async execute(input, isThorough) {
    const outcome = outcomeOf(() => parseCsr(input), spiffeErrors('invalid-csr'));
    if ('refused' in outcome) return ruleOf(outcome.refused);
    const csr = outcome.value;
    must(typeof formatName(csr.subject) === 'string', 'a name has a text');
    const verdict = await laterOutcomeOf(() => verifyCsrSignature(csr), spiffeErrors('invalid-key'));
    if ('refused' in verdict) return `key: ${ruleOf(verdict.refused)}`;
    if (verdict.value) {
      must(isRight(csr), 'a signature that OpenSSL finds right');
      if (isThorough) compareWithPeculiar(csr);
    }
    return `accepted ${verdict.value} ${csr.extensions.length > 0} ${csr.uris.length > 0}`;
  },
};

function isRight({ publicKey, info, signature, signatureAlgorithm }: CertificateRequest): boolean {
  const theirs = opinion(() => createPublicKey({ key: publicKey, format: 'der', type: 'spki' }))?.value;
  if (theirs === undefined || signatureAlgorithm === undefined) return false;
  // PSS is told apart by the algorithm only, so here it is enough that the key is an RSA key.
  if (signatureAlgorithm.pss) return theirs.asymmetricKeyType === 'rsa';
  return verify(signatureAlgorithm.digest, info, theirs, signature);
}

function compareWithPeculiar(ours: CertificateRequest): void {
  const theirs = opinion(() => new peculiar.Pkcs10CertificateRequest(ours.der))?.value;
  if (theirs === undefined) return;
  must(Buffer.from(theirs.publicKey.rawData).equals(ours.publicKey), 'public key by @peculiar/x509');
}
