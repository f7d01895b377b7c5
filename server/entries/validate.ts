import { domainToASCII, domainToUnicode } from 'node:url';
import { FinialError } from '../../common/errors.ts';

const MOST_HINT_BYTES = 1024;
/** RFC 1035 2.3.4: 255 octets on the wire, which are 253 in text. */
const LONGEST_NAME = 253;
const LONGEST_LABEL = 63;

/** @throws FinialError `invalid-argument` when the hint is too long */
export function checkHint(hint: string): void {
  if (Buffer.byteLength(hint) > MOST_HINT_BYTES) {
    throw refused(`hint is too long, max length is ${MOST_HINT_BYTES} characters`);
  }
}

/**
 * Checks a DNS name of an entry or CSR, which becomes a subject alternative name. Accepts what the reference accepts:
 * any ASCII label of legal length and hyphens, internationalised labels only in their canonical punycode, a wildcard as
 * the whole first label. Control characters are refused on top, as a verifier might read a name only up to one.
 *
 * @throws FinialError `invalid-argument`
 */
export function checkDnsName(name: string): void {
  // oxlint-disable-next-line no-control-regex
  if (!/^[\x00-\x7f]*$/.test(name)) throw refused('name must be ascii');
  const stars = name.split('*').length - 1;
  if (stars > 1) throw refused('too many wildcards');
  if (stars === 1 && !name.startsWith('*.')) throw refused('wildcard must be first label');
  const plain = (stars === 1 ? name.slice(2) : name).trim();
  if (plain === '') throw refused('empty or only whitespace');
  if (plain.endsWith('.')) throw refused('domain ends with dot');
  // oxlint-disable-next-line no-control-regex
  if (/[\x00-\x1f\x7f]/.test(name)) throw refused('name must not contain control characters');
  const wrong = wrongLabel(plain);
  if (wrong !== undefined) throw refused(`idna error\nidna: invalid label ${JSON.stringify(wrong)}`);
}

/** The first label that breaks a rule, or the whole name where that is at fault. */
function wrongLabel(name: string): string | undefined {
  for (const label of name.split('.')) {
    if (label === '') return name;
    if (label.startsWith('xn--')) {
      const unicode = domainToUnicode(label);
      if (unicode === label || domainToASCII(unicode) !== label) return unicode === '' ? label : unicode;
    } else if (label.startsWith('-') || label.endsWith('-') || label.slice(2, 4) === '--') {
      return label;
    }
    if (label.length > LONGEST_LABEL) return label;
  }
  return name.length > LONGEST_NAME ? name : undefined;
}

/**
 * A wildcard that covers another listed name would make two identities out of one.
 *
 * @throws FinialError `invalid-argument` naming the covered name
 */
export function checkWildcardOverlap(names: readonly string[]): void {
  const all = new Set(names);
  for (const name of all) {
    if (name.startsWith('*')) continue;
    const [, ...rest] = name.split('.');
    if (all.has(['*', ...rest].join('.'))) {
      throw refused(`name "${name}" overlaps with an existing wildcard name in the list: wildcard overlap`);
    }
  }
}

function refused(why: string): FinialError {
  return new FinialError('invalid-argument', why);
}
