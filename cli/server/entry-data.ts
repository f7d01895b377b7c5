import { readFile } from 'node:fs/promises';
import { messageOf } from '../../common/errors.ts';
import type { Entry } from '../../proto/gen/spire/api/types/Entry.ts';
import { commandFailure } from '../failure.ts';
import { idFromFlag } from './request.ts';

/** No file of entries is larger; a bound keeps a mistaken path from filling memory. */
const LARGEST_FILE = 64 * 1024 * 1024;

/**
 * Entries from a file in the reference's JSON form (server.md 10.3): `{"entries": [...]}`, keys in any case, unknown keys
 * ignored, `federates_with` as trust domain IDs.
 *
 * @param read gives the text of `-`, standard input
 * @throws FinialError naming the file and, for a bad value, the entry and its key
 */
export async function entriesFromFile(file: string, read: () => Promise<string>): Promise<Entry[]> {
  let text: string;
  try {
    text = file === '-' ? await read() : await readFile(file, 'utf8');
  } catch (error) {
    throw commandFailure(`cannot read entries from ${file}: ${messageOf(error)}`);
  }
  if (text.length > LARGEST_FILE) throw commandFailure(`${file} is larger than ${LARGEST_FILE} bytes`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw commandFailure(`cannot parse entries from ${file}: ${messageOf(error)}`);
  }
  const entries = fold(document, file)['entries'] ?? [];
  if (!Array.isArray(entries)) throw commandFailure(`${file}: entries must be a list`);
  return entries.map((entry, index) =>
    toEntry(fold(entry, `${file}: entries[${index}]`), `${file}: entries[${index}]`),
  );
}

type Fields = Readonly<Record<string, unknown>>;

/** An object with lower-case keys, as the reference matches them in any case. */
function fold(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw commandFailure(`${where} must be an object`);
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key.toLowerCase(), one]));
}

function toEntry(fields: Fields, where: string): Entry {
  const at = (key: string): string => `${where}.${key}`;
  const entry: Entry = {
    id: text(fields['entry_id'], at('entry_id')),
    spiffe_id: idFromFlag(text(fields['spiffe_id'], at('spiffe_id')), at('spiffe_id')),
    parent_id: idFromFlag(text(fields['parent_id'], at('parent_id')), at('parent_id')),
    selectors: items(fields['selectors'], at('selectors')).map((one, index) => {
      const selector = fold(one, `${at('selectors')}[${index}]`);
      return {
        type: text(selector['type'], at('selectors.type')),
        value: text(selector['value'], at('selectors.value')),
      };
    }),
    x509_svid_ttl: number(fields['x509_svid_ttl'], at('x509_svid_ttl')),
    jwt_svid_ttl: number(fields['jwt_svid_ttl'], at('jwt_svid_ttl')),
    federates_with: items(fields['federates_with'], at('federates_with')).map((one) => text(one, at('federates_with'))),
    admin: flag(fields['admin'], at('admin')),
    downstream: flag(fields['downstream'], at('downstream')),
    expires_at: number(fields['entryexpiry'], at('entryExpiry')),
    dns_names: items(fields['dns_names'], at('dns_names')).map((one) => text(one, at('dns_names'))),
    store_svid: flag(fields['store_svid'], at('store_svid')),
    hint: text(fields['hint'], at('hint')),
  };
  const attributes = fields['additional_attributes'];
  if (attributes === undefined || attributes === null) return entry;
  const folded = fold(attributes, at('additional_attributes'));
  entry.additional_attributes = {
    disable_x509_svid_prefetch: flag(folded['disable_x509_svid_prefetch'], at('disable_x509_svid_prefetch')),
    jwt_svid_include_jti: flag(folded['jwt_svid_include_jti'], at('jwt_svid_include_jti')),
  };
  return entry;
}

function text(value: unknown, where: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw commandFailure(`${where} must be text`);
  return value;
}

function number(value: unknown, where: string): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw commandFailure(`${where} must be a whole number`);
  return value;
}

function flag(value: unknown, where: string): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw commandFailure(`${where} must be true or false`);
  return value;
}

function items(value: unknown, where: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw commandFailure(`${where} must be a list`);
  return value;
}
