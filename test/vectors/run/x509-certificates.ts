import {
  extension,
  issue,
  nameConstraints,
  newTestKey,
  type TestAlgorithmName,
  type TestCertificate,
  type TestDistances,
  type TestKey,
  type TestKeyKind,
  type TestName,
  type TestSpec,
  type TestUsage,
  testName,
} from '../../support/pki.ts';

/** Each form of a name in a certificate by its tag number; for the text of those that are no plain text see `nameOf`. */
const FORMS = { email: 1, DNS: 2, directory: 0x24, URI: 6, IP: 7, other: 0x20, constructedURI: 0x26 } as const;
type DeclaredName = readonly [form: keyof typeof FORMS, value: string];

/** A certificate as a vector declares it. What is left out is as in a perfect CA or leaf. */
export interface DeclaredCertificate {
  /** Name of the certificate that signs; itself unless said. */
  readonly by?: string;
  readonly ca?: boolean;
  /** Its only alternative name. */
  readonly uri?: string;
  /** Its alternative names. */
  readonly names?: readonly DeclaredName[];
  readonly namesCritical?: boolean;
  /** Common name; the name of the declaration unless said. */
  readonly subject?: string;
  /** Common name of the issuer, if not that of the certificate that signs. */
  readonly issuer?: string;
  readonly serial?: number;
  /** ISO 8601. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly version?: number;
  /** Null for no such extension. */
  readonly basicConstraints?: null;
  readonly pathLength?: number;
  readonly usage?: readonly TestUsage[] | null;
  readonly usageCritical?: boolean;
  readonly purposes?: readonly string[] | null;
  readonly purposesCritical?: boolean;
  readonly key?: TestKeyKind;
  /** Name of a certificate whose key it has too. */
  readonly keyOf?: string;
  readonly subjectKeyId?: string | null;
  readonly authorityKeyId?: string | null;
  readonly nameConstraints?: TestDistances & {
    readonly critical?: boolean;
    readonly permitted?: readonly DeclaredName[];
    readonly excluded?: readonly DeclaredName[];
  };
  /** The value as hex of its DER. */
  readonly extensions?: readonly { readonly oid: string; readonly critical: boolean; readonly hex: string }[];
  readonly algorithm?: TestAlgorithmName;
  readonly breakSignature?: true;
}

/** Certificates by the names that they have in a vector. */
export type Certificates = (name: string) => TestCertificate;

/**
 * Makes certificates when they are asked for, each once.
 *
 * @param also for names that are not in `declared`
 */
export function certificatesOf(
  declared: Readonly<Record<string, DeclaredCertificate>>,
  validity: Pick<TestSpec, 'notBefore' | 'notAfter'>,
  also?: Certificates,
): Certificates {
  const made = new Map<string, TestCertificate>();
  const certificate: Certificates = (name) => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const one = declared[name];
    if (one === undefined) {
      if (also === undefined) throw new Error(`the vector declares no certificate ${name}`);
      return also(name);
    }
    const issuer = one.by === undefined ? undefined : certificate(one.by);
    const issued = issue(issuer, { ...validity, ...specOf(name, one, certificate) });
    made.set(name, issued);
    return issued;
  };
  return certificate;
}

function specOf(name: string, one: DeclaredCertificate, certificates: Certificates): TestSpec {
  const { ca, version, pathLength, usageCritical, purposesCritical, namesCritical, algorithm } = one;
  const spec: Record<keyof TestSpec, unknown> = {
    ...{ ca, version, pathLength, usageCritical, purposesCritical, namesCritical, algorithm },
    key: one.keyOf === undefined ? one.key && keyOf(one.key) : certificates(one.keyOf).key,
    subject: one.subject ?? name,
    issuerName: one.issuer === undefined ? undefined : testName(one.issuer),
    serialNumber: one.serial === undefined ? undefined : BigInt(one.serial),
    notBefore: one.notBefore && Date.parse(one.notBefore),
    notAfter: one.notAfter && Date.parse(one.notAfter),
    basicConstraints: one.basicConstraints,
    names: one.uri === undefined ? one.names?.map(nameOf) : [nameOf(['URI', one.uri])],
    extensions: extensionsOf(one),
    usage: one.usage,
    purposes: one.purposes,
    subjectKeyId: one.subjectKeyId && Buffer.from(one.subjectKeyId),
    authorityKeyId: one.authorityKeyId && Buffer.from(one.authorityKeyId),
    changeTbs: undefined,
    changeSignature: one.breakSignature && flipLastBit,
  };
  // What is undefined was not declared; null stands for an extension that is left out, which pki.ts calls undefined.
  const said = Object.entries(spec).filter(([, value]) => value !== undefined);
  const absent = new Set(['usage', 'purposes', 'subjectKeyId', 'authorityKeyId']);
  return Object.fromEntries(said.map(([field, value]) => [field, value === null && absent.has(field) ? undefined : value]));
}

function extensionsOf({ extensions = [], nameConstraints: limits }: DeclaredCertificate): Buffer[] {
  const others = extensions.map(({ oid, critical, hex }) => extension(oid, critical, Buffer.from(hex, 'hex')));
  if (limits === undefined) return others;
  const { permitted, excluded } = limits;
  const lists = {
    ...(permitted && { permitted: permitted.map(nameOf) }),
    ...(excluded && { excluded: excluded.map(nameOf) }),
  };
  return [...others, nameConstraints(lists, limits)];
}

/** Addresses are decimal, with a mask after a slash; names of directories are common names; other names are hex. */
function nameOf([form, value]: DeclaredName): TestName {
  const tag = FORMS[form];
  if (form === 'IP') return [tag, Buffer.from(value.split(/[./]/).map(Number))];
  if (form === 'directory') return [tag, testName(value)];
  return [tag, form === 'other' ? Buffer.from(value, 'hex') : value];
}

const keys = new Map<TestKeyKind, TestKey>();

/** RSA keys take long to make. */
function keyOf(kind: TestKeyKind): TestKey {
  const known = keys.get(kind) ?? newTestKey(kind);
  keys.set(kind, known);
  return known;
}

function flipLastBit(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}
