import { loadMessage } from '../../../common/rpc/message.ts';
import type {
  EntryRevision,
  EntryRevision__Output,
} from '../../../proto/gen/spire/api/server/entry/v1/EntryRevision.ts';
import type { Entry as EntryMessage, Entry__Output } from '../../../proto/gen/spire/api/types/Entry.ts';
import type { EntryMask__Output } from '../../../proto/gen/spire/api/types/EntryMask.ts';
import type { Entry } from '../../../spiffe/registration/entry.ts';
import { entryToProto } from '../convert/entry.ts';

/**
 * Encodes entries for agents, once per entry: agents ask for the same entries with the same mask again and again, and
 * encoding is what such an answer costs (DESIGN.md decision 4). An entry's last form is kept as long as the entry is.
 */
export interface EntryEncoder {
  /** One `entries` field of an answer, with its tag and length; fields only need to be put one after another. */
  encode(entry: Entry, mask: EntryMask__Output | null): Buffer;
}

/** @param fieldNumber of the repeated `entries` in the answer's message */
export function entryEncoder(fieldNumber: number): EntryEncoder {
  const message = loadMessage<EntryMessage, Entry__Output>('spire/api/types/entry.proto', 'spire.api.types.Entry');
  const known = new WeakMap<Entry, { readonly maskKey: string; readonly bytes: Buffer }>();
  return {
    encode(entry, mask) {
      const maskKey = keyOf(mask);
      const kept = known.get(entry);
      if (kept?.maskKey === maskKey) return kept.bytes;
      const bytes = lengthDelimited(fieldNumber, message.encode(entryToProto(entry, mask)));
      known.set(entry, { maskKey, bytes });
      return bytes;
    },
  };
}

/** Encodes what tells an agent whether its copy of an entry is current, once per entry, as the idle sync sends it to all. */
export interface RevisionEncoder {
  /** One `entry_revisions` field of an answer, with its tag and length. */
  encode(entry: Entry): Buffer;
}

/** @param fieldNumber of the repeated `entry_revisions` in the answer's message */
export function revisionEncoder(fieldNumber: number): RevisionEncoder {
  const message = loadMessage<EntryRevision, EntryRevision__Output>(
    'spire/api/server/entry/v1/entry.proto',
    'spire.api.server.entry.v1.EntryRevision',
  );
  const known = new WeakMap<Entry, Buffer>();
  return {
    encode(entry) {
      let bytes = known.get(entry);
      if (bytes === undefined) {
        const { id, revisionNumber, createdAt } = entry;
        const revision = { id, revision_number: revisionNumber, created_at: createdAt };
        bytes = lengthDelimited(fieldNumber, message.encode(revision));
        known.set(entry, bytes);
      }
      return bytes;
    },
  };
}

function keyOf(mask: EntryMask__Output | null): string {
  if (mask === null) return '*';
  return Object.entries(mask)
    .filter(([, wanted]) => wanted)
    .map(([field]) => field)
    .join(',');
}

/** A length-delimited field of the protobuf encoding: tag with wire type 2, length, content. */
function lengthDelimited(fieldNumber: number, content: Buffer): Buffer {
  return Buffer.concat([varint(fieldNumber * 8 + 2), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}
