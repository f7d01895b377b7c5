import type { Selector } from '../../spiffe/selector.ts';
import type { Entry } from '../../spiffe/registration/entry.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

// What the graph does not say of an entry, as bytes. A million entries as objects are 700 MB of heap, which every garbage collection walks through; as
// bytes they are a third of that, in buffers that it does not look into.

/** Bits of the second field. */
const FLAG = { admin: 1, downstream: 2, storeSvid: 4, attributes: 8, noPrefetch: 16, includeJti: 32 } as const;

type Fields = readonly [
  id: string,
  flags: number,
  /** Types and values in turn. */
  selectors: readonly string[],
  dnsNames: readonly string[],
  federatesWith: readonly TrustDomain[],
  numbers: readonly [x509SvidTtl: number, jwtSvidTtl: number, expiresAt: number, revision: number, createdAt: number],
  hint: string,
];

/** The rest of an entry. */
export type EntryRest = Omit<Entry, 'spiffeId' | 'parentId'>;

/** The bytes of an entry without its IDs; read by `decodeEntry` of the same process alone. */
export function encodeEntry(entry: EntryRest): Buffer {
  const { additionalAttributes: attributes } = entry;
  const flags =
    (entry.admin ? FLAG.admin : 0) |
    (entry.downstream ? FLAG.downstream : 0) |
    (entry.storeSvid ? FLAG.storeSvid : 0) |
    (attributes === undefined ? 0 : FLAG.attributes) |
    (attributes?.disableX509SvidPrefetch === true ? FLAG.noPrefetch : 0) |
    (attributes?.jwtSvidIncludeJti === true ? FLAG.includeJti : 0);
  const fields: Fields = [
    entry.id,
    flags,
    flatSelectors(entry.selectors),
    entry.dnsNames,
    entry.federatesWith,
    [entry.x509SvidTtl, entry.jwtSvidTtl, entry.expiresAt, entry.revisionNumber, entry.createdAt],
    entry.hint,
  ];
  return Buffer.from(JSON.stringify(fields));
}

function flatSelectors(selectors: readonly Selector[]): string[] {
  const flat: string[] = [];
  for (const { type, value } of selectors) flat.push(type, value);
  return flat;
}

/** What `encodeEntry` was given. */
export function decodeEntry(bytes: Buffer): EntryRest {
  const [id, flags, flat, dnsNames, federatesWith, numbers, hint] = JSON.parse(bytes.toString()) as Fields;
  const [x509SvidTtl, jwtSvidTtl, expiresAt, revisionNumber, createdAt] = numbers;
  const selectors = [];
  for (let at = 0; at < flat.length; at += 2) selectors.push({ type: flat[at] ?? '', value: flat[at + 1] ?? '' });
  return {
    ...{ id, selectors, dnsNames, federatesWith, hint },
    ...{ x509SvidTtl, jwtSvidTtl, expiresAt, revisionNumber, createdAt },
    admin: (flags & FLAG.admin) !== 0,
    downstream: (flags & FLAG.downstream) !== 0,
    storeSvid: (flags & FLAG.storeSvid) !== 0,
    ...((flags & FLAG.attributes) !== 0 && {
      additionalAttributes: {
        disableX509SvidPrefetch: (flags & FLAG.noPrefetch) !== 0,
        jwtSvidIncludeJti: (flags & FLAG.includeJti) !== 0,
      },
    }),
  };
}
