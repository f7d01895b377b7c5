import { nameConstraintsExtension, unknownCriticalExtension } from './odd-extensions.ts';
import { findPath } from '../../../spiffe/x509/path.ts';
import { parseCertificate, type Certificate } from '../../../spiffe/x509/certificate.ts';
import { issue, TEST_HOUR, TEST_NOW, type TestCertificate, testName, type TestSpec } from '../../support/pki.ts';
import { ed25519Key } from '../keys.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import { must, outcomeOf, ruleOf, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';
import { checkLink } from './x509-verify.ts';

/** Few of each, so that names and keys meet by chance. */
const NAMES = ['a', 'b', 'c'].map(testName);
const KEYS = ['0', '1', '2'].map(ed25519Key);
const MAX_CERTIFICATES = 8;
const BYTES_EACH = 6;

/** A certificate as a vertex of a graph: everything that decides whether it may stand in a path. */
interface Vertex {
  readonly name: number;
  readonly key: number;
  readonly issuerName: number;
  readonly issuerKey: number;
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  readonly time: 'valid' | 'expired' | 'early';
  readonly usage: 'signs' | 'missing' | 'other';
  readonly odd: 'none' | 'critical' | 'constraints';
  readonly keyIds: 'right' | 'missing' | 'wrong';
  readonly isForged: boolean;
  readonly isRoot: boolean;
  readonly isPresented: boolean;
}

/** The graph that the bytes of an input stand for: six for each certificate, the leaf first. */
function graphOf(input: Buffer): Vertex[] {
  const count = Math.min(MAX_CERTIFICATES, Math.ceil(input.length / BYTES_EACH));
  return Array.from({ length: count }, (_, index) => vertexOf(input.subarray(index * BYTES_EACH)));
}

function vertexOf(bytes: Buffer): Vertex {
  const byte = (index: number): number => bytes[index] ?? 0;
  // Most values say that all is well, so that paths are found often enough.
  const rarely = <T>(value: number, rare: readonly T[], usual: T): T => rare[value] ?? usual;
  return {
    name: (byte(0) & 15) % NAMES.length,
    key: (byte(0) >> 4) % KEYS.length,
    issuerName: (byte(1) & 15) % NAMES.length,
    issuerKey: (byte(1) >> 4) % KEYS.length,
    isCa: (byte(2) & 15) !== 1,
    pathLength: rarely<number | undefined>(byte(2) >> 4, [undefined, 0, 1, 2, 3], undefined),
    time: rarely(byte(3) & 15, ['valid', 'expired', 'early'], 'valid'),
    usage: rarely(byte(3) >> 4, ['signs', 'missing', 'other'], 'signs'),
    odd: rarely(byte(4) & 15, ['none', 'critical', 'constraints'], 'none'),
    keyIds: rarely(byte(4) >> 4, ['right', 'missing', 'wrong'], 'right'),
    isForged: (byte(5) & 7) === 1,
    isRoot: ((byte(5) >> 3) & 3) === 1,
    isPresented: byte(5) >> 5 !== 1,
  };
}

/** Certificates by what they say; signing one takes longer than verifying it. */
const written = new Map<string, Certificate>();

function certificateOf(vertex: Vertex): Certificate {
  // Where it comes from does not change what it says.
  const { isRoot: _root, isPresented: _presented, ...said } = vertex;
  const name = JSON.stringify(said);
  const known = written.get(name);
  if (known !== undefined) return known;
  const certificate = parseCertificate(issue(issuerOf(vertex), specOf(vertex)).der);
  if (written.size > 20_000) written.clear();
  written.set(name, certificate);
  return certificate;
}

function issuerOf({ issuerName, issuerKey }: Vertex): TestCertificate {
  const [subject = Buffer.of(), key] = [NAMES[issuerName], KEYS[issuerKey]];
  if (key === undefined) throw new RangeError('no such key');
  return { der: Buffer.of(), key, subject, subjectKeyId: Buffer.of(issuerKey) };
}

function specOf(vertex: Vertex): TestSpec {
  const key = KEYS[vertex.key];
  if (key === undefined) throw new RangeError('no such key');
  const from = { valid: -1, expired: -3, early: 1 }[vertex.time];
  const usage = { signs: ['keyCertSign'] as const, missing: undefined, other: ['digitalSignature'] as const };
  return {
    key,
    subject: NAMES[vertex.name] ?? Buffer.of(),
    serialNumber: 7n,
    ca: vertex.isCa,
    ...(vertex.pathLength === undefined ? {} : { pathLength: vertex.pathLength }),
    notBefore: TEST_NOW + from * TEST_HOUR,
    notAfter: TEST_NOW + (from + 2) * TEST_HOUR,
    usage: usage[vertex.usage],
    extensions: { none: [], critical: [unknownCriticalExtension], constraints: [nameConstraintsExtension] }[vertex.odd],
    subjectKeyId: { right: Buffer.of(vertex.key), missing: undefined, wrong: Buffer.of(9) }[vertex.keyIds],
    authorityKeyId: { right: Buffer.of(vertex.issuerKey), missing: undefined, wrong: Buffer.of(8) }[vertex.keyIds],
    ...(vertex.isForged ? { changeSignature: (signature: Buffer) => signature.fill(1, 0, 4) } : {}),
  };
}

/** Whether there is a path at all, by trying all of them. */
function hasPath(path: readonly Vertex[], graph: readonly Vertex[]): boolean {
  const last = path.at(-1);
  if (last === undefined || last.isForged) return false;
  return graph.some((issuer) => {
    const isIssuer = issuer.name === last.issuerName && issuer.key === last.issuerKey;
    if (!isIssuer || !isSound(issuer) || !issuer.isCa) return false;
    if (issuer.pathLength !== undefined && path.length - 1 > issuer.pathLength) return false;
    if (issuer.isRoot && issuer.usage !== 'other') return true;
    if (issuer.usage !== 'signs' || !issuer.isPresented) return false;
    return !path.some((one) => isSame(one, issuer)) && hasPath([...path, issuer], graph);
  });
}

/** None of the generated certificates has a name that the constraints are about. */
const isSound = ({ time, odd }: Vertex): boolean => time === 'valid' && odd !== 'critical';

const isSame = (a: Vertex, b: Vertex): boolean => certificateOf(a).der.equals(certificateOf(b).der);

/** Paths through generated graphs of certificates, against a search that tries all of them. */
export const x509PathTarget: Target = {
  name: 'x509-path',
  maxLength: MAX_CERTIFICATES * BYTES_EACH,
  mutate: mutateBytes,
  execute(input, isThorough) {
    const [leaf, ...others] = graphOf(input);
    if (leaf === undefined) return 'empty';
    const presented = others.filter((one) => one.isPresented).map(certificateOf);
    const roots = others.filter((one) => one.isRoot).map(certificateOf);
    const search = (): Certificate[] => findPath(certificateOf(leaf), presented, roots, TEST_NOW);
    const outcome = outcomeOf(search, spiffeErrors('untrusted-x509-svid'));
    const expected = isSound(leaf) && hasPath([leaf], others);
    if ('refused' in outcome) {
      const { message } = outcome.refused;
      must(!expected || message.includes('too many candidates'), `there is a path: ${message}`);
      return ruleOf(outcome.refused);
    }
    must(expected, 'there is no path');
    const path = outcome.value;
    must(
      roots.some(({ der }) => der.equals(path.at(-1)?.der ?? Buffer.of())),
      'the path ends at a root',
    );
    if (isThorough) {
      path.slice(1).forEach(({ der }, index) => checkLink(path[index]?.der ?? Buffer.of(), der));
    }
    return `accepted ${path.length} of ${others.length}`;
  },
};
