import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { authorityId } from '../../spiffe/x509/profile.ts';
import { activateAfter, prepareAfter, type Validity } from '../../spiffe/rotation.ts';
import type { AuthorityRecord, AuthorityStatus } from '../../server/ca/journal/record.ts';
import type { ServerFiles } from './on-disk.ts';

/** What the checks of a rotation need, the same for roots and JWT keys. */
interface Kind {
  readonly name: 'root' | 'JWT key';
  /** IDs in the bundle, in its order. */
  bundled(files: ServerFiles): readonly string[];
  records(files: ServerFiles): readonly AuthorityRecord[];
  keyName(slot: string): string;
  /** The public key that the record speaks of. */
  publicKey(files: ServerFiles, authorityId: string): Buffer | undefined;
}

const X509: Kind = {
  name: 'root',
  bundled: ({ bundle }) => (bundle?.x509Authorities ?? []).map(({ certificate }) => idOfRoot(certificate)),
  records: ({ journals }) => journals[0]?.x509 ?? [],
  keyName: (slot) => `x509-CA-${slot}`,
  publicKey({ journals }, id) {
    const record = journals[0]?.x509.find((one) => one.authorityId === id);
    return record && parseCertificate(record.certificate).publicKey;
  },
};

const JWT: Kind = {
  name: 'JWT key',
  bundled: ({ bundle }) => (bundle?.jwtAuthorities ?? []).map(({ keyId }) => keyId),
  records: ({ journals }) => journals[0]?.jwt ?? [],
  keyName: (slot) => `JWT-Signer-${slot}`,
  publicKey: ({ journals }, id) => journals[0]?.jwt.find((one) => one.authorityId === id)?.publicKey,
};

/** All looks at the server's authorities, held against each other. */
export interface History {
  /** Takes one more look. @returns what is wrong with it by itself and after the ones before */
  look(files: ServerFiles): string[];
  /** How many authorities came to be active after the first. */
  readonly rotations: { readonly x509: number; readonly jwt: number };
}

export function newHistory(): History {
  const kinds = [newKindHistory(X509), newKindHistory(JWT)] as const;
  return {
    look: (files) => [
      ...files.findings,
      ...(files.journals.length > 1 ? [`doubled: ${files.journals.length} journals of one server`] : []),
      ...kinds.flatMap((kind) => kind.look(files)),
    ],
    get rotations() {
      return { x509: kinds[0].rotations, jwt: kinds[1].rotations };
    },
  };
}

const ORDER: readonly (AuthorityStatus | undefined)[] = ['prepared', 'active', 'old'];

function newKindHistory(kind: Kind): { look(files: ServerFiles): string[]; readonly rotations: number } {
  /** Every record that was ever seen, with its last status. The journal itself forgets old ones. */
  const records = new Map<string, AuthorityRecord>();
  let bundled: readonly string[] = [];
  let active: AuthorityRecord | undefined;
  let rotations = 0;
  return {
    get rotations() {
      return rotations;
    },
    look(files) {
      const now = kind.records(files);
      const findings = [
        ...checkBundleGrowth(kind, bundled, kind.bundled(files)),
        ...now.flatMap((record) => checkStatus(kind, records.get(record.authorityId), record)),
        ...checkOneActive(kind, now),
      ];
      for (const record of now) records.set(record.authorityId, record);
      bundled = kind.bundled(files);
      findings.push(...checkExplained(kind, bundled, records), ...checkKeys(kind, files, bundled));
      const current = now.find(({ status }) => status === 'active');
      if (active !== undefined && current?.authorityId !== active.authorityId) {
        rotations += 1;
        findings.push(...checkActivation(kind, active, current, files.at));
      }
      active = current;
      return findings;
    },
  };
}

/** Nothing expires from the bundle for a day, so it only ever grows, at its end. */
function checkBundleGrowth({ name }: Kind, before: readonly string[], now: readonly string[]): string[] {
  const findings: string[] = [];
  if (before.some((id, index) => now[index] !== id)) findings.push(`lost: a ${name} went from the bundle or moved`);
  if (new Set(now).size !== now.length) findings.push(`doubled: a ${name} is twice in the bundle`);
  return findings;
}

function checkStatus({ name }: Kind, before: AuthorityRecord | undefined, now: AuthorityRecord): string[] {
  if (before === undefined) return [];
  const where = `${name} ${now.authorityId}`;
  if (ORDER.indexOf(now.status) < ORDER.indexOf(before.status)) {
    return [`repeated: ${where} went back from ${before.status} to ${now.status}`];
  }
  if (now.slotId !== before.slotId || now.issuedAt !== before.issuedAt || now.notAfter !== before.notAfter) {
    return [`repeated: ${where} was made anew`];
  }
  return [];
}

function checkOneActive({ name }: Kind, records: readonly AuthorityRecord[]): string[] {
  const count = (status: AuthorityStatus): number => records.filter((one) => one.status === status).length;
  const findings: string[] = [];
  if (count('active') > 1) findings.push(`doubled: ${count('active')} active ${name}s`);
  if (count('prepared') > 1) findings.push(`doubled: ${count('prepared')} prepared ${name}s`);
  return findings;
}

/** Each one in the bundle was planned by the journal, and no sooner than half of its predecessor's life was over. */
function checkExplained(
  { name }: Kind,
  bundled: readonly string[],
  records: ReadonlyMap<string, AuthorityRecord>,
): string[] {
  const findings: string[] = [];
  for (const [index, id] of bundled.entries()) {
    const record = records.get(id);
    const before = records.get(bundled[index - 1] ?? '');
    if (record === undefined) findings.push(`unexplained: the ${name} ${id} is in the bundle and in no journal`);
    else if (before !== undefined && (record.issuedAt + 1) * 1000 <= prepareAfter(validityOf(before))) {
      findings.push(`unexplained: the ${name} ${id} was made before its predecessor was due`);
    }
  }
  return findings;
}

/** Whatever signs or is about to has its key. A prepared one that did not reach the bundle is given up at start. */
function checkKeys(kind: Kind, files: ServerFiles, bundled: readonly string[]): string[] {
  const needed = kind
    .records(files)
    .filter(({ authorityId: id, status }) => status === 'active' || (status === 'prepared' && bundled.includes(id)));
  return needed.flatMap(({ authorityId: id, slotId, status }) => {
    const held = files.keys.get(kind.keyName(slotId));
    const wanted = kind.publicKey(files, id);
    if (held !== undefined && wanted?.equals(held)) return [];
    return [`lost: keys.json has not the key of the ${status} ${kind.name} ${id}`];
  });
}

/** One authority follows another in its time, and never by a restart alone. */
function checkActivation(
  { name }: Kind,
  before: AuthorityRecord,
  now: AuthorityRecord | undefined,
  at: number,
): string[] {
  if (now === undefined) return [`lost: no ${name} is active any more`];
  if (at > activateAfter(validityOf(before))) return [];
  return [`unexplained: the ${name} ${now.authorityId} took over from ${before.authorityId} before it was due`];
}

function validityOf({ issuedAt, notAfter }: AuthorityRecord): Validity {
  return { notBefore: issuedAt * 1000, notAfter: notAfter * 1000 };
}

function idOfRoot(certificate: Buffer): string {
  return authorityId(parseCertificate(certificate).publicKey);
}
