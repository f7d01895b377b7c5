import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openssl } from '../../test/support/openssl.ts';
import { TAG } from './der.ts';
import { encode, objectIdentifier, sequence, setOf } from './der-writer.ts';
import {
  EMPTY_NAME,
  encodeName,
  formatName,
  formatSubject,
  isEmptyName,
  parseName,
  type Subject,
  subjectOf,
} from './name.ts';

const attribute = (type: string, tag: number, value: Buffer | string): Buffer =>
  sequence(objectIdentifier(type), encode(tag, Buffer.isBuffer(value) ? value : Buffer.from(value, 'utf8')));
const invalid = expect.objectContaining({ code: 'invalid-der' });

describe('encodeName', () => {
  it('writes what the reference writes for its default subject', () => {
    const der = encodeName({ country: ['US'], organization: ['SPIRE'] });
    expect(der.toString('hex')).toBe('301d310b3009060355040613025553310e300c060355040a13055350495245');
  });

  it('writes the fields in the order of the reference, and its strings in its types', () => {
    const der = encodeName({
      serialNumber: '12345678901234567890',
      commonName: 'Zoë*',
      organizationalUnit: ['DOWNSTREAM-1'],
      country: ['US'],
      organization: ['Acme & Co', 'Acme'],
    });
    expect(parseName(der)).toEqual([
      [{ type: '2.5.4.6', value: 'US' }],
      [
        { type: '2.5.4.10', value: 'Acme' },
        { type: '2.5.4.10', value: 'Acme & Co' },
      ],
      [{ type: '2.5.4.11', value: 'DOWNSTREAM-1' }],
      [{ type: '2.5.4.3', value: 'Zoë*' }],
      [{ type: '2.5.4.5', value: '12345678901234567890' }],
    ]);
    const types = openssl(['asn1parse', '-inform', 'DER'], der).match(/(PRINTABLE|UTF8)STRING/g);
    expect(types?.join(' ')).toBe(
      'PRINTABLESTRING PRINTABLESTRING UTF8STRING PRINTABLESTRING UTF8STRING PRINTABLESTRING',
    );
  });

  it('leaves out what is empty', () => {
    expect(encodeName({ country: [], commonName: '' })).toEqual(EMPTY_NAME);
    expect(isEmptyName(encodeName({}))).toBe(true);
    expect(isEmptyName(encodeName({ country: ['US'] }))).toBe(false);
  });

  it('comes back', () => {
    const list = fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 3 });
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    const subject = fc.record(
      { country: list, organization: list, commonName: text, serialNumber: text },
      { requiredKeys: [] },
    );
    const sorted = (subject: Subject): object =>
      Object.fromEntries(
        Object.entries(subject).map(([key, value]) => [
          key,
          Array.isArray(value) ? [...value].sort((a, b) => (a < b ? -1 : 1)) : value,
        ]),
      );
    fc.assert(
      fc.property(subject, (subject) => {
        expect(sorted(subjectOf(encodeName(subject)))).toEqual(sorted(subject));
      }),
    );
  });
});

describe('formatName', () => {
  it.each<[Subject, string]>([
    [{ country: ['US'], organization: ['SPIRE'] }, 'O=SPIRE,C=US'],
    [{ country: ['US'], organization: ['SPIFFE'], serialNumber: '42' }, 'SERIALNUMBER=42,O=SPIFFE,C=US'],
    [{ organization: ['B', 'A'], commonName: 'x' }, 'CN=x,O=A+O=B'],
    [{ commonName: 'a,b+c"d\\e<f>g;h' }, 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h'],
    [{ commonName: ' # x ' }, 'CN=\\ # x\\ '],
    [{ commonName: '#x' }, 'CN=\\#x'],
    [{ province: ['P'], locality: ['L'], streetAddress: ['S'], postalCode: ['1'] }, 'POSTALCODE=1,STREET=S,L=L,ST=P'],
    [{}, ''],
  ])('prints %j as the reference does', (subject, expected) => {
    expect(formatName(encodeName(subject))).toBe(expected);
    if (subject.organization?.length !== 2) expect(formatSubject(subject)).toBe(expected);
  });

  it('puts other attributes last, as the hex of their value', () => {
    const der = sequence(
      setOf(attribute('1.2.3', TAG.utf8String, 'hi')),
      setOf(attribute('2.5.4.3', TAG.printableString, 'x')),
    );
    expect(formatName(der)).toBe('CN=x,1.2.3=#13026869');
  });
});

describe('parseName', () => {
  it.each([
    ['PrintableString', TAG.printableString, 'a*&', 'a*&'],
    ['UTF8String', TAG.utf8String, 'Zoë', 'Zoë'],
    ['IA5String', TAG.ia5String, 'a@b', 'a@b'],
    ['NumericString', TAG.numericString, '12 3', '12 3'],
    ['T61String', TAG.t61String, Buffer.from('Zoë', 'latin1'), 'Zoë'],
    ['BMPString', TAG.bmpString, Buffer.from('005a006f00eb', 'hex'), 'Zoë'],
  ])('reads %s', (_name, tag, value, expected) => {
    expect(parseName(sequence(setOf(attribute('2.5.4.3', tag, value))))).toEqual([
      [{ type: '2.5.4.3', value: expected }],
    ]);
  });

  it.each([
    ['underscores in a PrintableString', TAG.printableString, 'a_b'],
    ['malformed UTF-8', TAG.utf8String, Buffer.from('ff', 'hex')],
    ['a letter in a NumericString', TAG.numericString, '1a'],
    ['half a character in a BMPString', TAG.bmpString, Buffer.from('00', 'hex')],
    ['a surrogate in a BMPString', TAG.bmpString, Buffer.from('d83dde00', 'hex')],
    ['a byte beyond ASCII in an IA5String', TAG.ia5String, 'Zoë'],
    ['a value that is not text', TAG.integer, Buffer.from([1])],
  ])('refuses %s', (_name, tag, value) => {
    expect(() => parseName(sequence(setOf(attribute('2.5.4.3', tag, value))))).toThrow(invalid);
  });

  it('refuses empty sets and trailing bytes', () => {
    expect(() => parseName(sequence(setOf()))).toThrow(invalid);
    expect(() => parseName(Buffer.concat([EMPTY_NAME, Buffer.of(0)]))).toThrow(invalid);
  });
});

describe('subjectOf', () => {
  it('takes the last of several common names and keeps other attributes apart', () => {
    const der = sequence(
      setOf(attribute('2.5.4.3', TAG.utf8String, 'first')),
      setOf(attribute('2.5.4.3', TAG.utf8String, 'last')),
      setOf(attribute('2.5.4.45', TAG.utf8String, 'id')),
    );
    expect(subjectOf(der)).toEqual({ commonName: 'last', extra: [{ type: '2.5.4.45', value: 'id' }] });
    expect(subjectOf(encodeName(subjectOf(der)))).toEqual(subjectOf(der));
  });
});
