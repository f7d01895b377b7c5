import {
  isSpiffeId,
  parseSpiffeId,
  pathOf,
  segmentsOf,
  type SpiffeId,
  spiffeId,
  spiffeIdOfSegments,
  trustDomainOf,
} from '../../../spiffe/id.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { textMutator } from '../mutate/text.ts';
import { must, mustBeSame, opinion, outcomeOf, ruleOf, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

/** SPIFFE-ID 2.1 to 2.3 as one pattern. */
const ID = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*$/;
const NAME = /^[a-z0-9._-]{1,255}$/;

const WORDS = [
  'spiffe://',
  'SPIFFE://',
  'spiffe:/',
  'https://',
  'td',
  'example.org',
  '/a',
  '/..',
  '/.',
  '/.../',
  'a'.repeat(256),
];
const mutate = mixed([4, textMutator(WORDS)], [1, mutateBytes]);

const growth = [
  { what: 'a long segment', from: 20_000, of: (size: number) => Buffer.from(`spiffe://td/${'a'.repeat(size)}`) },
  { what: 'many segments', from: 20_000, of: (size: number) => Buffer.from(`spiffe://td${'/a'.repeat(size)}`) },
  { what: 'a long name', from: 20_000, of: (size: number) => Buffer.from(`SPIFFE://${'A'.repeat(size)}/`) },
  { what: 'a long scheme', from: 20_000, of: (size: number) => Buffer.from('S'.repeat(size)) },
];

const isIdError = spiffeErrors('invalid-id');
const isNameError = spiffeErrors('invalid-trust-domain');

/** SPIFFE IDs against one pattern for the whole of SPIFFE-ID 2, and against the URL parser of Node. */
export const spiffeIdTarget: Target = {
  name: 'spiffe-id',
  maxLength: 3000,
  mutate,
  growth,
  execute(input) {
    const text = input.toString('utf8');
    const strict = outcomeOf(() => parseSpiffeId(text), isIdError);
    mustBeSame('value' in strict, ID.test(text) && text.length <= 2048, 'is an ID by the pattern');
    mustBeSame(isSpiffeId(text), 'value' in strict, 'isSpiffeId');
    const loose = outcomeOf(() => parseSpiffeId(text, { normalize: true }), isIdError);
    if ('value' in loose) {
      mustBeSame(parseSpiffeId(loose.value), loose.value, 'what was normalized is an ID');
      mustBeSame(loose.value.toLowerCase(), text.toLowerCase(), 'only the case is normalized');
    }
    if ('refused' in strict) return `${ruleOf(strict.refused)} ${'value' in loose}`;
    mustBeSame(strict.value, text, 'the text is the ID');
    must('value' in loose && loose.value === strict.value, 'an ID stays as it is when normalized');
    checkParts(strict.value);
    return 'accepted';
  },
};

function checkParts(id: SpiffeId): void {
  const url = opinion(() => new URL(id))?.value;
  mustBeSame(trustDomainOf(id), url?.host, 'trust domain as URL reads it');
  mustBeSame(pathOf(id), url?.pathname, 'path as URL reads it');
  mustBeSame(spiffeId(trustDomainOf(id), pathOf(id)), id, 'built again from its parts');
  mustBeSame(spiffeIdOfSegments(trustDomainOf(id), ...segmentsOf(id)), id, 'built again from its segments');
  mustBeSame(parseTrustDomain(id), trustDomainOf(id), 'trust domain read from the ID');
}

/** Names of trust domains, bare and as IDs. */
export const trustDomainTarget: Target = {
  name: 'trust-domain',
  maxLength: 3000,
  mutate,
  growth,
  execute(input) {
    const text = input.toString('utf8');
    const strict = outcomeOf(() => parseTrustDomain(text), isNameError);
    const isId = ID.test(text) && text.length <= 2048;
    mustBeSame('value' in strict, isId || NAME.test(text), 'is a name or an ID by the patterns');
    const loose = outcomeOf(() => parseTrustDomain(text, { normalize: true }), isNameError);
    if ('value' in loose) must(NAME.test(loose.value), 'what was normalized is a name');
    if ('refused' in strict) return `${ruleOf(strict.refused)} ${'value' in loose}`;
    mustBeSame(strict.value, isId ? text.split('/')[2] : text, 'the name');
    mustBeSame(parseTrustDomain(strict.value), strict.value, 'a name reads as itself');
    return isId ? 'accepted an ID' : 'accepted a name';
  },
};
