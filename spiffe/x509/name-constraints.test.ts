import { writeFileSync } from 'node:fs';
import path from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openssl } from '../../test/support/openssl.ts';
import {
  extension,
  issue,
  issueCa,
  nameConstraints,
  newTestKey,
  TEST_NOW,
  type TestCertificate,
  type TestDistances,
  type TestName,
  type TestSpec,
  testName,
} from '../../test/support/pki.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { parseCertificate } from './certificate.ts';
import { encode, objectIdentifier, sequence, setOf } from './der-writer.ts';
import { brokenNameConstraint, type ConstrainedNames, readNameConstraints } from './name-constraints.ts';
import { certificatesToPem } from './pem.ts';
import { verifyChainToRoots } from './verify.ts';

const folder = scratchFolder();
let count = 0;

interface Limits {
  readonly permitted?: readonly TestName[];
  readonly excluded?: readonly TestName[];
}

const constrained = (limits: Limits, spec: TestSpec = {}, distances: TestDistances = {}): TestCertificate =>
  issueCa(undefined, { ...spec, extensions: [nameConstraints(limits, distances)] });

function verdict(chain: readonly TestCertificate[], roots: readonly TestCertificate[]): string {
  try {
    const ders = (all: readonly TestCertificate[]): Buffer[] => all.map(({ der }) => der);
    verifyChainToRoots(ders(chain), ders(roots), TEST_NOW);
    return 'ok';
  } catch (error) {
    const { message } = error as Error;
    return /\((.*)\)/.exec(message)?.[1] ?? message;
  }
}

function opensslVerdict([leaf, ...others]: readonly TestCertificate[], roots: readonly TestCertificate[]): string {
  count += 1;
  const file = (name: string, all: readonly (TestCertificate | undefined)[]): string => {
    const to = path.join(folder, `${count}-${name}.pem`);
    writeFileSync(to, certificatesToPem(all.flatMap((one) => (one === undefined ? [] : [one.der]))));
    return to;
  };
  const untrusted = others.length === 0 ? [] : ['-untrusted', file('others', others)];
  const time = String(TEST_NOW / 1000);
  try {
    openssl(['verify', '-CAfile', file('roots', roots), ...untrusted, '-attime', time, file('leaf', [leaf])]);
    return 'ok';
  } catch (error) {
    return /error \d+ at \d+ depth lookup: (.*)/.exec((error as Error).message)?.[1] ?? (error as Error).message;
  }
}

const uri = (value: string): TestName => [6, value];
const dns = (value: string): TestName => [2, value];
const email = (value: string): TestName => [1, value];
const ip = (...bytes: readonly number[]): TestName => [7, Buffer.from(bytes)];
const directory = (name: Buffer): TestName => [0x24, name];
const registered = (): TestName => [8, Buffer.of(0x2a, 3, 4)];
const other = (): TestName => [0x20, Buffer.concat([objectIdentifier('1.2.3.4'), encode(0xa0, Buffer.of(5, 0))])];

/** A distinguished name of attributes by type; those in one list share a relative name. */
const rdns = (...names: readonly (readonly [type: string, value: string, tag?: number][])[]): Buffer =>
  sequence(
    ...names.map((one) =>
      setOf(
        ...one.map(([type, value, tag = 0x0c]) =>
          sequence(objectIdentifier(type), encode(tag, Buffer.from(value, tag === 0x1e ? 'utf16le' : 'utf8'))),
        ),
      ),
    ),
  );
const [C, O, CN, EMAIL] = ['2.5.4.6', '2.5.4.10', '2.5.4.3', '1.2.840.113549.1.9.1'];
const acme = rdns([[C, 'US']], [[O, 'Acme Inc']]);

type Verdict = 'ok' | 'not permitted' | 'excluded' | 'not compared' | 'unsupported';

interface Case {
  readonly what: string;
  readonly limits: Limits;
  readonly names?: readonly TestName[];
  readonly subject?: Buffer;
  readonly distances?: TestDistances;
  readonly verdict: Verdict;
  /** Why the verdict of openssl is, or in some version was, another; it is not asked then. */
  readonly unlikeOpenssl?: string;
}

const permitted = (...names: readonly TestName[]): Limits => ({ permitted: names });
const excluded = (...names: readonly TestName[]): Limits => ({ excluded: names });
const of = (limits: Limits, name: TestName | undefined, verdict: Verdict, unlikeOpenssl?: string): Case => ({
  what: `${describeLimits(limits)} for ${name === undefined ? 'nothing' : describeName(name)}`,
  limits,
  ...(name && { names: [name] }),
  verdict,
  ...(unlikeOpenssl && { unlikeOpenssl }),
});
const describeName = ([tag, value]: TestName): string =>
  `${tag & 0x1f}:${Buffer.isBuffer(value) ? value.toString('hex') : value}`;
const describeLimits = ({ permitted: may = [], excluded: not = [] }: Limits): string =>
  [...may.map((one) => `+${describeName(one)}`), ...not.map((one) => `-${describeName(one)}`)].join(' ');

const SYNTAX = 'it compares what is no host as if it were one';
const EMPTY = 'it takes an empty host for one that nobody has';

const URI_CASES: readonly Case[] = [
  of(permitted(uri('td')), uri('spiffe://td/a'), 'ok'),
  of(permitted(uri('td')), uri('spiffe://td'), 'ok'),
  of(permitted(uri('TD')), uri('spiffe://td/a'), 'ok'),
  of(permitted(uri('td')), uri('https://TD/a'), 'ok'),
  of(permitted(uri('td')), uri('https://td:443/a'), 'ok'),
  of(permitted(uri('td')), uri('https://user@td/a'), 'ok', 'it takes the user for a part of the host'),
  of(excluded(uri('td')), uri('https://user@td/a'), 'excluded', SYNTAX),
  of(excluded(uri('td')), uri('https://user:word@td:443?a'), 'excluded', SYNTAX),
  of(permitted(uri('td')), uri('https://td@evil/'), 'not permitted'),
  of(permitted(uri('td')), uri('https://evil#@td/'), 'not permitted'),
  of(permitted(uri('td')), uri('https://evil/@td/'), 'not permitted'),
  of(permitted(uri('td')), uri('https://evil\\@td/'), 'not compared'),
  of(permitted(uri('a.b')), uri('spiffe://a.b/x'), 'ok'),
  of(permitted(uri('a.b')), uri('spiffe://x.a.b/x'), 'not permitted'),
  of(permitted(uri('.a.b')), uri('spiffe://x.a.b/x'), 'ok'),
  of(permitted(uri('.a.b')), uri('spiffe://y.x.a.b/x'), 'ok'),
  of(permitted(uri('.a.b')), uri('spiffe://a.b/x'), 'not permitted'),
  of(permitted(uri('.a.b')), uri('spiffe://xa.b/x'), 'not permitted'),
  of(permitted(uri('.a.b')), uri('spiffe://.a.b/x'), 'not compared'),
  of(permitted(uri('td')), uri('spiffe://td./x'), 'not compared'),
  of(excluded(uri('td')), uri('spiffe://td./x'), 'not compared', SYNTAX),
  of(excluded(uri('.b')), uri('spiffe://a..b/x'), 'not compared'),
  of(excluded(uri('td')), uri('spiffe://t%64/x'), 'not compared', SYNTAX),
  of(permitted(uri('a_b')), uri('spiffe://a_b/x'), 'ok'),
  of(excluded(uri('td')), uri('urn:td:a'), 'not compared'),
  of(excluded(uri('td')), uri('mailto:a@td'), 'not compared'),
  of(excluded(uri('td')), uri('/td/a'), 'not compared'),
  of(excluded(uri('td')), uri(''), 'not compared'),
  of(excluded(uri('td')), uri('https://10.0.0.1/'), 'not compared', SYNTAX),
  of(excluded(uri('td')), uri('https://[::1]/'), 'not compared', SYNTAX),
  of(excluded(uri('td')), uri('https:///a'), 'not compared'),
  of(permitted(uri('')), uri('spiffe://td/a'), 'unsupported'),
  of(excluded(uri('')), uri('spiffe://td/a'), 'unsupported', EMPTY),
  of(excluded(uri('spiffe://td')), uri('spiffe://td/a'), 'unsupported', SYNTAX),
  of(excluded(uri('10.0.0.1')), uri('spiffe://td/a'), 'unsupported', SYNTAX),
  of(excluded(uri('*.td')), uri('spiffe://a.td/a'), 'unsupported', SYNTAX),
  of(permitted(uri('spiffe://td')), dns('td'), 'ok'),
  of(permitted(uri('td')), undefined, 'ok'),
];

const DNS_CASES: readonly Case[] = [
  of(permitted(dns('a.b')), dns('a.b'), 'ok'),
  of(permitted(dns('a.b')), dns('x.y.a.b'), 'ok'),
  of(permitted(dns('A.b')), dns('x.a.B'), 'ok'),
  of(permitted(dns('a.b')), dns('xa.b'), 'not permitted'),
  of(permitted(dns('a.b')), dns('b'), 'not permitted'),
  of(permitted(dns('.a.b')), dns('x.a.b'), 'ok'),
  of(permitted(dns('.a.b')), dns('a.b'), 'not permitted'),
  of(permitted(dns('')), dns('a.b'), 'ok'),
  of(excluded(dns('')), dns('a.b'), 'excluded'),
  of(excluded(dns('a.b')), dns('x.a.b'), 'excluded'),
  of(excluded(dns('a.b')), dns('*.a.b'), 'excluded'),
  of(excluded(dns('x.a.b')), dns('*.a.b'), 'excluded', 'it forgets what a wildcard stands for'),
  of(excluded(dns('y.x.a.b')), dns('*.a.b'), 'ok'),
  of(excluded(dns('.x.a.b')), dns('*.a.b'), 'ok'),
  of(permitted(dns('x.a.b')), dns('*.a.b'), 'not permitted'),
  of(permitted(dns('a.b')), dns('*.a.b'), 'ok'),
  of(excluded(dns('a.b')), dns('x.a.b.'), 'not compared', 'it takes no notice of the last period'),
  of(excluded(dns('a.b')), dns('x*.c'), 'not compared', 'it compares what is no host name'),
  of(excluded(dns('a.b')), dns('\0.c'), 'not compared', 'it compares what is no host name'),
  of(excluded(dns('a b')), dns('x.y'), 'unsupported', 'it compares what is no host name'),
];

const EMAIL_CASES: readonly Case[] = [
  of(permitted(email('me@a.b')), email('me@a.b'), 'ok'),
  of(permitted(email('me@a.b')), email('me@A.B'), 'ok'),
  of(permitted(email('me@a.b')), email('Me@a.b'), 'not permitted'),
  of(permitted(email('a.b')), email('me@a.b'), 'ok'),
  of(permitted(email('a.b')), email('me@x.a.b'), 'not permitted'),
  of(permitted(email('.a.b')), email('me@x.a.b'), 'ok'),
  of(permitted(email('.a.b')), email('me@a.b'), 'not permitted'),
  of(excluded(email('a.b')), email('me@a.b'), 'excluded'),
  of(excluded(email('a.b')), email('nobody'), 'not compared'),
  of(excluded(email('a.b')), email('"me@x"@c.d'), 'not compared', 'it knows quoted local parts'),
  of(excluded(email('@')), email('me@a.b'), 'unsupported', 'it compares what is no mailbox'),
];

const V6 = [0x20, 0x01, 0x0d, 0xb8, ...Array<number>(12).fill(0)] as const;
const V6_MASK = [0xff, 0xff, 0xff, 0xff, ...Array<number>(12).fill(0)] as const;
const IP_CASES: readonly Case[] = [
  of(permitted(ip(10, 0, 0, 0, 255, 0, 0, 0)), ip(10, 9, 8, 7), 'ok'),
  of(permitted(ip(10, 1, 2, 3, 255, 0, 0, 0)), ip(10, 9, 8, 7), 'ok'),
  of(permitted(ip(10, 0, 0, 0, 255, 0, 0, 0)), ip(11, 0, 0, 1), 'not permitted'),
  of(permitted(ip(10, 0, 0, 0, 255, 0, 0, 0)), ip(...V6), 'not permitted'),
  of(permitted(ip(...V6, ...V6_MASK)), ip(...V6.slice(0, 15), 9), 'ok'),
  of(excluded(ip(0, 0, 0, 0, 0, 0, 0, 0)), ip(10, 9, 8, 7), 'excluded'),
  of(excluded(ip(0, 0, 0, 0, 0, 0, 0, 0)), ip(...V6), 'ok'),
  of(excluded(ip(10, 0, 0, 1, 255, 255, 255, 255)), ip(10, 0, 0, 2), 'ok'),
  of(excluded(ip(10, 0, 0, 1, 255, 0, 255, 255)), ip(11, 0, 0, 2), 'unsupported', 'it takes any mask'),
];

const NAME_CASES: readonly Case[] = [
  { what: 'the very name', limits: permitted(directory(acme)), subject: acme, verdict: 'ok' },
  {
    what: 'a name below',
    limits: permitted(directory(acme)),
    subject: rdns([[C, 'US']], [[O, 'Acme Inc']], [[CN, 'x']]),
    verdict: 'ok',
  },
  { what: 'a name above', limits: permitted(directory(acme)), subject: rdns([[C, 'US']]), verdict: 'not permitted' },
  {
    what: 'another name',
    limits: permitted(directory(acme)),
    subject: rdns([[C, 'US']], [[O, 'Acme']]),
    verdict: 'not permitted',
  },
  {
    what: 'other case, spacing and type',
    limits: excluded(directory(acme)),
    subject: rdns([[C, 'us', 0x13]], [[O, ' ACME  inc ', 0x13]]),
    verdict: 'excluded',
  },
  {
    what: 'no name at all',
    limits: permitted(directory(acme)),
    subject: sequence(),
    names: [uri('a:b')],
    verdict: 'ok',
  },
  {
    what: 'an alternative name',
    limits: permitted(directory(acme)),
    subject: sequence(),
    names: [directory(acme)],
    verdict: 'ok',
  },
  {
    what: 'another alternative name',
    limits: permitted(directory(acme)),
    subject: acme,
    names: [directory(rdns([[C, 'DE']]))],
    verdict: 'not permitted',
  },
  {
    what: 'any name below the root of names',
    limits: excluded(directory(sequence())),
    subject: acme,
    verdict: 'excluded',
  },
  {
    what: 'a relative name in another order',
    limits: permitted(
      directory(
        rdns([
          [C, 'US'],
          [O, 'a'],
        ]),
      ),
    ),
    subject: rdns([
      [O, 'a'],
      [C, 'US'],
    ]),
    verdict: 'ok',
  },
  {
    what: 'a part of a relative name',
    limits: permitted(
      directory(
        rdns([
          [C, 'US'],
          [O, 'a'],
        ]),
      ),
    ),
    subject: rdns([[C, 'US']]),
    verdict: 'not permitted',
  },
  {
    what: 'two relative names for one',
    limits: permitted(
      directory(
        rdns([
          [C, 'US'],
          [O, 'a'],
        ]),
      ),
    ),
    subject: rdns([[C, 'US']], [[O, 'a']]),
    verdict: 'not permitted',
  },
  {
    what: 'an email address in the subject',
    limits: permitted(email('a.b')),
    subject: rdns([[EMAIL, 'me@a.c', 0x16]]),
    verdict: 'not permitted',
  },
];

const OTHER_CASES: readonly Case[] = [
  of(permitted(registered()), registered(), 'unsupported'),
  of(excluded(registered()), uri('spiffe://td/a'), 'ok'),
  of(excluded(other()), other(), 'unsupported'),
  of(permitted(other()), undefined, 'ok'),
  { ...of(permitted(uri('td')), uri('spiffe://td/a'), 'unsupported'), what: 'a minimum', distances: { minimum: 1 } },
  { ...of(permitted(uri('td')), uri('spiffe://td/a'), 'unsupported'), what: 'a maximum', distances: { maximum: 0 } },
  { ...of(permitted(uri('td')), uri('spiffe://td/a'), 'ok'), what: 'a minimum of 0', distances: { minimum: 0 } },
  { ...of(permitted(uri('td')), dns('td'), 'ok'), what: 'a maximum for others', distances: { maximum: 0 } },
  {
    what: 'permitted by one, excluded by another',
    limits: { permitted: [uri('.b')], excluded: [uri('x.b')] },
    names: [uri('a://x.b/')],
    verdict: 'excluded',
  },
  {
    what: 'only one of two names permitted',
    limits: permitted(dns('a')),
    names: [dns('a'), dns('b')],
    verdict: 'not permitted',
  },
];

const MESSAGES: Readonly<Record<Verdict, RegExp>> = {
  ok: /^ok$/,
  'not permitted': /is not permitted by/,
  excluded: /is excluded by/,
  'not compared': /cannot be compared/,
  unsupported: /not supported$/,
};

describe.each([
  ['URIs', URI_CASES],
  ['DNS names', DNS_CASES],
  ['email addresses', EMAIL_CASES],
  ['IP addresses', IP_CASES],
  ['distinguished names', NAME_CASES],
  ['other forms and distances', OTHER_CASES],
] as const)('name constraints on %s', (_form, cases) => {
  it.each(cases)('$what: $verdict', ({ limits, names, subject, distances, verdict: wanted, unlikeOpenssl }) => {
    const root = constrained(limits, {}, distances);
    const leaf = issue(root, { ...(subject && { subject }), ...(names && { names }) });
    expect(verdict([leaf], [root])).toMatch(MESSAGES[wanted]);
    if (unlikeOpenssl !== undefined) return;
    expect(opensslVerdict([leaf], [root]) === 'ok').toBe(wanted === 'ok');
  });
});

describe('name constraints of several CAs', () => {
  const both = (chain: readonly TestCertificate[], root: TestCertificate, wanted: RegExp): void => {
    expect(verdict(chain, [root])).toMatch(wanted);
    expect(opensslVerdict(chain, [root]) === 'ok').toBe(wanted.test('ok'));
  };
  const limited = (issuer: TestCertificate, limits: Limits, spec: TestSpec = {}): TestCertificate =>
    issueCa(issuer, { ...spec, extensions: [nameConstraints(limits)] });
  const leafBelow = (ca: TestCertificate, ...names: readonly TestName[]): TestCertificate =>
    issue(ca, names.length === 0 ? {} : { names });

  it('all hold, whoever set them', () => {
    const root = constrained(permitted(uri('.b')));
    const lower = limited(root, { permitted: [uri('x.b'), uri('y.c')], excluded: [dns('')] });
    both([leafBelow(lower, uri('a://x.b/')), lower], root, /^ok$/);
    both([leafBelow(lower, uri('a://z.b/')), lower], root, /not permitted/);
    both([leafBelow(lower, uri('a://y.c/')), lower], root, /not permitted/);
    both([leafBelow(lower, uri('a://x.b/'), dns('x')), lower], root, /excluded/);
  });

  it('hold for CAs in between, but for those that a CA issued to itself', () => {
    const root = constrained(permitted(dns('b')), { subject: 'root' });
    const wrong = issueCa(root, { names: [dns('a')] });
    both([leafBelow(wrong), wrong], root, /not permitted/);
    const selfIssued = issueCa(root, { subject: 'root', names: [dns('a')] });
    both([leafBelow(selfIssued), selfIssued], root, /^ok$/);
    both([leafBelow(selfIssued, dns('a')), selfIssued], root, /not permitted/);
    const subjects = constrained(permitted(directory(acme)), { subject: acme });
    const otherName = issueCa(subjects, { subject: testName('x') });
    both([issue(otherName, { subject: acme }), otherName], subjects, /not permitted/);
  });

  it('hold for a leaf that a CA issued to itself', () => {
    const root = constrained(permitted(dns('b')), { subject: 'root' });
    both([issue(root, { subject: 'root', names: [dns('a')] })], root, /not permitted/);
  });

  it('do not hold above the CA that has them, nor for itself', () => {
    const root = issueCa(undefined, { names: [dns('a')] });
    const lower = limited(root, permitted(dns('b')), { names: [dns('a')] });
    both([leafBelow(lower, dns('b')), lower], root, /^ok$/);
  });

  it('say nothing in a leaf', () => {
    const root = issueCa();
    both(
      [limited(root, permitted(dns('b')), { ca: false, usage: ['digitalSignature'], names: [dns('a')] })],
      root,
      /^ok$/,
    );
  });

  it('do not end the search for another path', () => {
    const key = newTestKey();
    const same = { subject: 'crossed', key, subjectKeyId: Buffer.from('crossed') };
    const root = issueCa();
    const narrow = limited(root, permitted(uri('other')), same);
    const wide = issueCa(root, same);
    const leaf = leafBelow(wide, uri('spiffe://td/a'));
    expect(verdict([leaf, narrow], [root])).toMatch(/not permitted/);
    expect(verdict([leaf, narrow, wide], [root])).toBe('ok');
  });

  it('are compared a bounded number of times', () => {
    const many = Array.from({ length: 300 }, (_none, index) => dns(`host-${index}.test`));
    const root = constrained(excluded(...many));
    expect(verdict([leafBelow(root, dns('a'))], [root])).toBe('ok');
    expect(verdict([leafBelow(root, ...many.map((_none, index) => dns(`other-${index}.test`)))], [root])).toMatch(
      /too many names and name constraints/,
    );
  });
});

describe('a name constraints extension', () => {
  const parse = (value: Buffer): unknown =>
    parseCertificate(issueCa(undefined, { extensions: [extension('2.5.29.30', true, value)] }).der);
  const subtree = (base: Buffer, ...rest: readonly Buffer[]): Buffer => sequence(base, ...rest);
  const base = encode(0x86, Buffer.from('td'));

  it.each([
    ['nothing', sequence()],
    ['an empty list', sequence(encode(0xa0))],
    ['a subtree without a base', sequence(encode(0xa0, sequence()))],
    ['lists in the wrong order', sequence(encode(0xa1, subtree(base)), encode(0xa0, subtree(base)))],
    ['a third list', sequence(encode(0xa0, subtree(base)), encode(0xa2, subtree(base)))],
    ['bytes after it', Buffer.concat([sequence(encode(0xa0, subtree(base))), Buffer.of(0)])],
    [
      'distances in the wrong order',
      sequence(encode(0xa0, subtree(base, encode(0x81, Buffer.of(1)), encode(0x80, Buffer.of(0))))),
    ],
    ['a base of no form', sequence(encode(0xa0, subtree(encode(0x89, Buffer.from('td')))))],
    ['a byte beyond ASCII', sequence(encode(0xa0, subtree(encode(0x86, Buffer.of(0xe4)))))],
    ['an address without a mask', sequence(encode(0xa0, subtree(encode(0x87, Buffer.of(10, 0, 0, 1)))))],
    ['a directory that is no name', sequence(encode(0xa0, subtree(encode(0xa4, Buffer.of(5, 0)))))],
  ])('cannot hold %s', (_what, value) => {
    expect(() => parse(value)).toThrow(expect.objectContaining({ code: 'invalid-certificate' }));
  });

  it('can hold both lists', () => {
    expect(parse(sequence(encode(0xa0, subtree(base)), encode(0xa1, subtree(base))))).toMatchObject({
      nameConstraints: { uri: { permitted: ['td'], excluded: ['td'] } },
    });
  });
});

it('reads or refuses any extension, and judges by it whatever the names', () => {
  const names: ConstrainedNames = {
    ...parseCertificate(
      issueCa(undefined, {
        subject: acme,
        names: [uri('a://b/'), uri(''), dns('*.b'), dns('.'), email('@'), ip(1, 2, 3, 4), directory(acme), other()],
      }).der,
    ),
  };
  const tag = fc.constantFrom(0x80, 0x81, 0x82, 0x86, 0x87, 0x88, 0xa0, 0xa4);
  const text = fc.stringMatching(/^[a-z.@*]{0,6}$/).map((one) => Buffer.from(one));
  const base = fc.tuple(tag, fc.oneof(text, fc.constant(acme), fc.uint8Array({ minLength: 8, maxLength: 8 })));
  const list = fc.array(base, { minLength: 1, maxLength: 4 });
  const write = (form: number, bases: readonly (readonly [number, Uint8Array])[]): Buffer =>
    encode(form, ...bases.map(([one, content]) => sequence(encode(one, content))));
  const verdicts = new Set<string>();
  fc.assert(
    fc.property(list, list, (may, not) => {
      try {
        const constraints = readNameConstraints(sequence(write(0xa0, may), write(0xa1, not)));
        verdicts.add(String(brokenNameConstraint(constraints, names, { comparisonsLeft: 1000 })));
      } catch (error) {
        expect(error).toMatchObject({ name: 'SpiffeError', code: 'invalid-der' });
      }
    }),
    { numRuns: 2000 },
  );
  // Otherwise it judged nothing.
  expect(verdicts.size).toBeGreaterThan(4);
});
