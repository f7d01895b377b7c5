import { SpiffeError } from '../../../spiffe/error.ts';
import { x509AuthoritiesFromPem } from '../../../spiffe/bundle/pem.ts';
import { certificatesFromPem, certificatesToPem, decodePem, encodePem } from '../../../spiffe/x509/pem.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { textMutator } from '../mutate/text.ts';
import { must, mustBeSame, outcomeOf, ruleOf, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

const WORDS = [
  ...[
    '-----BEGIN CERTIFICATE-----\n',
    '-----END CERTIFICATE-----\n',
    '-----BEGIN PRIVATE KEY-----',
    '-----END ',
    '-----',
  ],
  ...[
    '-----BEGIN A-B C-----\nAAAA\n-----END A-B C-----\n',
    'Proc-Type: 4,ENCRYPTED\n',
    'DEK-Info: x\n\n',
    'AAAA',
    'AA==',
    '=',
  ],
  ...['-----BEGIN -----', '-----BEGIN X-----\r\nAAAA\r\n-----END X-----', '-----BEGIN CERTIFICATE----- \t', 'text\n'],
];

const of = (text: (size: number) => string) => (size: number) => Buffer.from(text(size));
const around = (body: string): string => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;

/** PEM: what is read is what was written, and holds what the base64 in the text says. */
export const pemTarget: Target = {
  name: 'pem',
  maxLength: 4096,
  mutate: mixed([5, textMutator(WORDS)], [1, mutateBytes]),
  growth: [
    { what: 'blocks', from: 1000, of: of((n) => around('AAAA').repeat(n)) },
    { what: 'lines', from: 20_000, of: of((n) => around('AAAA\n'.repeat(n))) },
    { what: 'a long line', from: 50_000, of: of((n) => around('AAAA'.repeat(n))) },
    { what: 'a long label', from: 50_000, of: of((n) => `-----BEGIN ${'A '.repeat(n)}-----`) },
    { what: 'headers', from: 20_000, of: of((n) => around('A: b\n'.repeat(n))) },
    { what: 'blanks', from: 50_000, of: of((n) => around(`AAAA${' \t'.repeat(n)}!`)) },
    { what: 'text outside', from: 50_000, of: of((n) => '-----\n'.repeat(n)) },
  ],
  execute(input) {
    const text = input.toString('utf8');
    const isPemError = spiffeErrors('invalid-pem');
    const certificates = outcomeOf(() => certificatesFromPem(text), isPemError);
    if ('value' in certificates) {
      const again = certificatesFromPem(certificatesToPem(certificates.value));
      must(Buffer.concat(again).equals(Buffer.concat(certificates.value)), 'certificates written and read again');
    }
    const authorities = outcomeOf(
      () => x509AuthoritiesFromPem(text),
      (error) => error instanceof SpiffeError,
    );
    must('refused' in authorities || 'value' in certificates, 'a bundle is made of certificates');
    const outcome = outcomeOf(() => decodePem(text), isPemError);
    if ('refused' in outcome) return ruleOf(outcome.refused).replace(/block .* (?=has|is)/s, '');
    // The checks are no faster than the reader, so not all of very many.
    for (const { label, der } of outcome.value.slice(0, 8)) {
      must(text.includes(`-----BEGIN ${label}-----`), 'the label is in the text');
      must(der.length > 0, 'no block is empty');
      const [again, ...more] = decodePem(encodePem(label, der));
      mustBeSame(more.length, 0, 'one block was written');
      must(again?.label === label && again.der.equals(der), 'a block written and read again');
      const base64 = der.toString('base64').replaceAll('=', '');
      must(text.replaceAll(/[ \t\r\n]/g, '').includes(base64.slice(0, -1)), 'the content is what the text says');
    }
    return `accepted ${Math.min(outcome.value.length, 4)} ${'value' in authorities}`;
  },
};
