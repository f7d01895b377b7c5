import type { Random } from '../random.ts';
import type { Mutator } from '../target.ts';
import { mutateBytes } from './bytes.ts';
import { jsonMutator } from './json.ts';

/** Signs the part of a token before the second dot; undefined where nothing can. */
export type SignToken = (signed: string, header: Buffer, random: Random) => Buffer | undefined;

/** How each part of a token is changed. */
export interface TokenParts {
  readonly header: readonly [names: readonly string[], texts: readonly string[]];
  readonly payload: readonly [names: readonly string[], texts: readonly string[], numbers: readonly number[]];
}

/** Changes the parts of a compact JWS, mostly signs it again, and sometimes spells its base64 as it must not be. */
export function tokenMutator(parts: TokenParts, sign: SignToken): Mutator {
  const changeHeader = jsonMutator(...parts.header);
  const changePayload = jsonMutator(...parts.payload);
  return (input, random, other) => {
    if (random.oneIn(12)) return mutateBytes(input, random, other);
    const [header, payload, signature] = decoded(input);
    const theirs = (index: 0 | 1) => () => decoded(other())[index];
    const newHeader = random.oneIn(3) ? changeHeader(header, random, theirs(0)) : header;
    const newPayload = random.oneIn(3) ? payload : changePayload(payload, random, theirs(1));
    const signed = `${spelled(newHeader, random)}.${spelled(newPayload, random)}`;
    const fresh = random.oneIn(5) ? undefined : sign(signed, newHeader, random);
    const last = fresh ?? (random.oneIn(2) ? signature : mutateBytes(signature, random, () => decoded(other())[2]));
    const token = `${signed}.${spelled(last, random)}`;
    return Buffer.from(random.oneIn(40) ? misshapen(token, random) : token);
  };
}

function decoded(input: Buffer): [header: Buffer, payload: Buffer, signature: Buffer] {
  const [header = '', payload = '', signature = ''] = input.toString('latin1').split('.');
  return [Buffer.from(header, 'base64url'), Buffer.from(payload, 'base64url'), Buffer.from(signature, 'base64url')];
}

/** Base64url, now and then with padding, of the other alphabet, with stray bits or blanks. */
function spelled(part: Buffer, random: Random): string {
  const usual = part.toString('base64url');
  if (!random.oneIn(30)) return usual;
  switch (random.int(5)) {
    case 0:
      return part.toString('base64');
    case 1:
      return `${usual}=`;
    case 2:
      return `${usual.slice(0, -1)}${random.pick(['B', 'h', '9', '_', '-'])}`;
    case 3:
      return `${usual.slice(0, 4)}${random.pick([' ', '\n', '+', '/', '\u00e9'])}${usual.slice(4)}`;
    default:
      return usual.slice(0, -1);
  }
}

function misshapen(token: string, random: Random): string {
  const parts = token.split('.');
  const at = random.int(parts.length);
  if (random.oneIn(3)) parts.splice(at, 1);
  else if (random.oneIn(2)) parts.splice(at, 0, random.pick([...parts, '']));
  else parts[at] = '';
  return parts.join('.');
}
