import { SpiffeError } from '../error.ts';
import { contextConstructed, contextPrimitive, DerReader } from './der.ts';
import { decodeIa5 } from './der-string.ts';
import { type AltNames, type NameForm, readGeneralName } from './general-name.ts';
import { isEmptyName, parseName } from './name.ts';
import { OID } from './oid.ts';

/** What a CA may vouch for, for one form of names: within one of `permitted` if there are any, and in none of `excluded`. */
interface Subtrees<T> {
  readonly permitted: readonly T[];
  readonly excluded: readonly T[];
}

/** Addresses that agree with `address` wherever `mask` has a one. */
interface Network {
  readonly address: Buffer;
  readonly mask: Buffer;
}

/** The name constraints of a CA (RFC 5280 4.2.1.10). Hosts and domains are in lower case. */
export interface NameConstraints {
  /** A host, or a domain with a period before it. */
  readonly uri: Subtrees<string>;
  readonly dns: Subtrees<string>;
  /** `mailbox@host`, a host, or a domain with a period before it. */
  readonly email: Subtrees<string>;
  readonly ip: Subtrees<Network>;
  /** Relative distinguished names in the form that `comparableName` gives them. */
  readonly directory: Subtrees<readonly string[]>;
  /** Forms with a constraint that cannot be interpreted: nobody below may have such a name. */
  readonly unsupported: ReadonlySet<NameForm>;
}

/** The names in a certificate to which constraints apply. */
export type ConstrainedNames = AltNames & {
  /** DER of the Name. */
  readonly subject: Buffer;
};

type Base =
  | { readonly form: 'uri' | 'dns' | 'email'; readonly base: string }
  | { readonly form: 'ip'; readonly base: Network }
  | { readonly form: 'directory'; readonly base: readonly string[] };

/** Labels of SPIFFE trust domains and of host names, none of them empty. */
const HOST = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const HOST_OR_DOMAIN = /^\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const IPV4 = /^\d+(\.\d+){3}$/;
/** RFC 5321 4.1.2, but for quoted local parts. */
const MAILBOX = /^([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)@([^@]+)$/;

/**
 * The value of a name constraints extension.
 *
 * @throws SpiffeError `invalid-der`, also when it constrains nothing (RFC 5280 4.2.1.10: never an empty sequence)
 */
export function readNameConstraints(value: Buffer): NameConstraints {
  const outer = new DerReader(value);
  const reader = outer.sequence('nameConstraints');
  outer.finish('nameConstraints');
  if (reader.atEnd) throw new SpiffeError('invalid-der', 'nameConstraints is empty');
  const unsupported = new Set<NameForm>();
  const permitted = readSubtrees(reader, 0, unsupported);
  const excluded = readSubtrees(reader, 1, unsupported);
  reader.finish('nameConstraints');
  const text = (bases: readonly Base[], wanted: Base['form']): string[] =>
    bases.flatMap(({ form, base }) => (form === wanted && typeof base === 'string' ? [base] : []));
  const networks = (bases: readonly Base[]): Network[] => bases.flatMap((one) => (one.form === 'ip' ? [one.base] : []));
  const names = (bases: readonly Base[]): (readonly string[])[] =>
    bases.flatMap((one) => (one.form === 'directory' ? [one.base] : []));
  return {
    uri: { permitted: text(permitted, 'uri'), excluded: text(excluded, 'uri') },
    dns: { permitted: text(permitted, 'dns'), excluded: text(excluded, 'dns') },
    email: { permitted: text(permitted, 'email'), excluded: text(excluded, 'email') },
    ip: { permitted: networks(permitted), excluded: networks(excluded) },
    directory: { permitted: names(permitted), excluded: names(excluded) },
    unsupported,
  };
}

/** GeneralSubtrees, which are there or not, but never empty. */
function readSubtrees(reader: DerReader, tag: number, unsupported: Set<NameForm>): readonly Base[] {
  if (reader.peek() !== contextConstructed(tag)) return [];
  const list = reader.enter(contextConstructed(tag), 'nameConstraints subtrees');
  const bases: Base[] = [];
  do {
    const subtree = list.sequence('nameConstraints subtree');
    const { form, content } = readGeneralName(subtree, 'nameConstraints base');
    const base = hasDefaultDistances(subtree) ? readBase(form, content) : undefined;
    if (base === undefined) unsupported.add(form);
    else bases.push(base);
  } while (!list.atEnd);
  return bases;
}

/** RFC 5280 4.2.1.10: minimum is 0, which DER leaves out but not everybody, and maximum is absent. */
function hasDefaultDistances(subtree: DerReader): boolean {
  const minimum = subtree.optional(contextPrimitive(0), 'nameConstraints minimum');
  const maximum = subtree.optional(contextPrimitive(1), 'nameConstraints maximum');
  subtree.finish('nameConstraints subtree');
  return (minimum === undefined || minimum.equals(ZERO)) && maximum === undefined;
}

const ZERO = Buffer.of(0);

/** Undefined for what cannot be interpreted. */
function readBase(form: NameForm, content: Buffer): Base | undefined {
  switch (form) {
    case 'uniformResourceIdentifier': {
      const base = decodeIa5(content, 'nameConstraints URI').toLowerCase();
      // RFC 5280 4.2.1.10 has no meaning for an empty one, nor for addresses.
      return HOST_OR_DOMAIN.test(base) && !IPV4.test(base) ? { form: 'uri', base } : undefined;
    }
    case 'dNSName': {
      const base = decodeIa5(content, 'nameConstraints DNS name').toLowerCase();
      return base === '' || HOST_OR_DOMAIN.test(base) ? { form: 'dns', base } : undefined;
    }
    case 'rfc822Name': {
      const base = readMailbox(decodeIa5(content, 'nameConstraints email'));
      return base === undefined ? undefined : { form: 'email', base };
    }
    case 'iPAddress': {
      const base = readNetwork(content);
      return base === undefined ? undefined : { form: 'ip', base };
    }
    case 'directoryName':
      return { form: 'directory', base: comparableName(content) };
    case 'otherName':
    case 'x400Address':
    case 'ediPartyName':
    case 'registeredID':
      return undefined;
  }
}

/** A mailbox, host or domain; the host in lower case, the local part as it is (RFC 5280 7.5). */
function readMailbox(text: string): string | undefined {
  const match = MAILBOX.exec(text);
  if (match === null) return HOST_OR_DOMAIN.test(text.toLowerCase()) ? text.toLowerCase() : undefined;
  const [, local = '', host = ''] = match;
  return HOST.test(host.toLowerCase()) ? `${local}@${host.toLowerCase()}` : undefined;
}

/** RFC 5280 4.2.1.10: address and mask, the mask as a CIDR prefix has it: ones, then zeros. */
function readNetwork(content: Buffer): Network | undefined {
  if (content.length !== 8 && content.length !== 32) {
    throw new SpiffeError('invalid-der', 'nameConstraints IP address is not 8 or 32 bytes long');
  }
  const address = content.subarray(0, content.length / 2);
  const mask = content.subarray(content.length / 2);
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(bits) ? { address, mask } : undefined;
}

/**
 * A distinguished name for comparison (RFC 5280 7.1): neither case nor spacing nor the type of string nor the order
 * within a relative distinguished name counts.
 *
 * @param der of a Name
 */
function comparableName(der: Buffer): readonly string[] {
  const comparable = (value: string): string => value.normalize('NFKC').trim().replaceAll(/\s+/g, ' ').toLowerCase();
  return parseName(der).map((attributes) =>
    JSON.stringify(attributes.map(({ type, value }) => `${type}=${comparable(value)}`).sort()),
  );
}

/** What is left of the work that one search may spend on comparing names; the functions here count it down. */
export interface ComparisonBudget {
  comparisonsLeft: number;
}

/**
 * Judges the names of one certificate by the constraints of one CA above it. Constraints of several CAs all apply, each
 * by itself, which is what RFC 5280 6.1.4 (g) makes of them by intersection and union.
 *
 * @returns what is wrong with the names, or undefined
 */
export function brokenNameConstraint(
  constraints: NameConstraints,
  names: ConstrainedNames,
  budget: ComparisonBudget,
): string | undefined {
  const { uri, dns, email, ip, directory, unsupported } = constraints;
  const unsupportedForm = formsOf(names).find((form) => unsupported.has(form));
  if (unsupportedForm !== undefined) {
    return `${unsupportedForm} is under a name constraint that is not supported`;
  }
  return (
    brokenSubtrees('URI', uri, () => names.uris.map(hostOf), hasHost, budget) ??
    brokenSubtrees('DNS name', dns, () => names.dnsNames.map(dnsNameOf), hasSuffix, budget, mayHaveSuffix) ??
    brokenSubtrees('email address', email, () => emailsOf(names).map(mailboxOf), hasMailbox, budget) ??
    brokenSubtrees('IP address', ip, () => names.ipAddresses, isInNetwork, budget) ??
    brokenSubtrees('distinguished name', directory, () => directoryNamesOf(names), isBelow, budget)
  );
}

function formsOf(names: ConstrainedNames): readonly NameForm[] {
  const present: readonly (readonly [NameForm, number])[] = [
    ['uniformResourceIdentifier', names.uris.length],
    ['dNSName', names.dnsNames.length],
    ['rfc822Name', emailsOf(names).length],
    ['iPAddress', names.ipAddresses.length],
    ['directoryName', isEmptyName(names.subject) ? names.directoryNames.length : 1],
  ];
  return [...present.flatMap(([form, count]) => (count === 0 ? [] : [form])), ...names.otherForms];
}

/**
 * @param mayBeIn whether a name stands for one in the subtree, among others; for those that stand for many
 */
function brokenSubtrees<T, N>(
  what: string,
  { permitted, excluded }: Subtrees<T>,
  namesOf: () => readonly (N | undefined)[],
  isIn: (name: N, subtree: T) => boolean,
  budget: ComparisonBudget,
  mayBeIn = isIn,
): string | undefined {
  const count = permitted.length + excluded.length;
  if (count === 0) return undefined;
  const names = namesOf();
  budget.comparisonsLeft -= names.length * count;
  if (budget.comparisonsLeft < 0) return 'there are too many names and name constraints to compare';
  for (const name of names) {
    if (name === undefined) return `${what} cannot be compared with the name constraints of an issuer`;
    if (excluded.some((subtree) => mayBeIn(name, subtree))) {
      return `${what} is excluded by the name constraints of an issuer`;
    }
    if (permitted.length > 0 && !permitted.some((subtree) => isIn(name, subtree))) {
      return `${what} is not permitted by the name constraints of an issuer`;
    }
  }
  return undefined;
}

/** The host of a URI, in lower case; undefined when it has none, or an address in its place (RFC 5280 4.2.1.10). */
function hostOf(uri: string): string | undefined {
  const match = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:[A-Za-z0-9._~!$&'()*+,;=:%-]*@)?([^/?#@:]+)(?::\d*)?(?:[/?#]|$)/.exec(
    uri,
  );
  const host = match?.[1]?.toLowerCase();
  return host !== undefined && HOST.test(host) && !IPV4.test(host) ? host : undefined;
}

/** In lower case; a wildcard stands for the first label only. */
function dnsNameOf(name: string): string | undefined {
  const lower = name.toLowerCase();
  return HOST.test(lower.replace(/^\*\./, '')) ? lower : undefined;
}

/** RFC 5280 4.2.1.10: what is not alternative is looked for in the subject too. */
function emailsOf({ emails, subject }: ConstrainedNames): readonly string[] {
  const inSubject = parseName(subject)
    .flat()
    .filter(({ type }) => type === OID.emailAddress);
  return [...emails, ...inSubject.map(({ value }) => value)];
}

function mailboxOf(email: string): string | undefined {
  const mailbox = readMailbox(email);
  return mailbox?.includes('@') === true ? mailbox : undefined;
}

function directoryNamesOf({ subject, directoryNames }: ConstrainedNames): readonly (readonly string[])[] {
  const all = isEmptyName(subject) ? directoryNames : [subject, ...directoryNames];
  return all.map(comparableName);
}

const hasHost = (host: string, base: string): boolean => (base.startsWith('.') ? host.endsWith(base) : host === base);

/** Any labels may precede the constraint; one with a leading period, which RFC 5280 does not know, wants at least one. */
function hasSuffix(name: string, base: string): boolean {
  return base === '' || name === base || name.endsWith(base.startsWith('.') ? base : `.${base}`);
}

/** `*.a` stands for `b.a` too, whatever its one label. */
function mayHaveSuffix(name: string, base: string): boolean {
  if (hasSuffix(name, base)) return true;
  const dot = base.indexOf('.');
  return name.startsWith('*.') && dot > 0 && base.slice(dot) === name.slice(1);
}

function hasMailbox(mailbox: string, base: string): boolean {
  return base.includes('@') ? mailbox === base : hasHost(mailbox.slice(mailbox.lastIndexOf('@') + 1), base);
}

function isInNetwork(address: Buffer, network: Network): boolean {
  return (
    address.length === network.address.length &&
    address.every((byte, index) => ((byte ^ (network.address[index] ?? 0)) & (network.mask[index] ?? 0)) === 0)
  );
}

const isBelow = (name: readonly string[], base: readonly string[]): boolean =>
  name.length >= base.length && base.every((one, index) => one === name[index]);
