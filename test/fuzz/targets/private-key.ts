import { createPrivateKey, createPublicKey } from 'node:crypto';
import { privateKeyFromPkcs8, signerFromPrivateKey } from '../../../spiffe/x509/key.ts';
import { parsePublicKey } from '../../../spiffe/x509/public-key.ts';
import { encode, integer, objectIdentifier, octetString, sequence } from '../../../spiffe/x509/der-writer.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { mutateDer } from '../mutate/der.ts';
import { must, mustBeSame, outcomeOf, ruleOf, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

/** Private keys: nothing of a key is in an error, and a signer that was made has the key that was given. */
export const privateKeyTarget: Target = {
  name: 'private-key',
  maxLength: 4096,
  mutate: mixed([3, mutateDer], [1, mutateBytes]),
  growth: [
    {
      what: 'the key',
      from: 20_000,
      of: (size) => {
        const algorithm = sequence(objectIdentifier('1.3.101.112'));
        return sequence(integer(0), algorithm, octetString(encode(4, Buffer.alloc(size, 1))));
      },
    },
  ],
  execute(input) {
    const isKeyError = spiffeErrors('invalid-key');
    const outcome = outcomeOf(() => privateKeyFromPkcs8(input), isKeyError);
    if ('refused' in outcome) {
      mustBeSame(outcome.refused.cause, undefined, 'the error tells nothing of the key');
      return ruleOf(outcome.refused);
    }
    const key = outcome.value;
    const signer = outcomeOf(() => signerFromPrivateKey(key), isKeyError);
    if ('refused' in signer) return `no signer: ${ruleOf(signer.refused)}`;
    const { keyType, publicKey } = signer.value;
    const again = createPrivateKey({ key: signer.value.pkcs8(), format: 'der', type: 'pkcs8' });
    must(again.equals(key), 'a key written and read again');
    must(createPublicKey(key).export({ type: 'spki', format: 'der' }).equals(publicKey), 'the public half');
    mustBeSame(keyType.startsWith('ec-'), parsePublicKey(publicKey).kind === 'ec', 'the type fits');
    return `accepted ${keyType}`;
  },
};
