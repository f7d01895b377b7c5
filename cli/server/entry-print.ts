import { goTime } from '../../common/cli/format.ts';
import type { Entry, Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';
import type { SPIFFEID } from '../../proto/gen/spire/api/types/SPIFFEID.ts';

/** `spiffe://…` of an ID as it came over the wire. */
export function idText(id: SPIFFEID | null | undefined): string {
  return `spiffe://${id?.trust_domain ?? ''}${id?.path ?? ''}`;
}

function row(label: string, value: string | number): string {
  return `${label.padEnd(24)}: ${value}\n`;
}

function ttl(seconds: number | undefined): string {
  return seconds === undefined || seconds === 0 ? 'default' : String(seconds);
}

/** The block that describes an entry, closed by an empty line (server.md 10.3). */
export function entryBlock(entry: Entry | Entry__Output): string {
  const attributes = entry.additional_attributes;
  const expiresAt = Number(entry.expires_at ?? 0);
  return [
    row('Entry ID', entry.id === undefined || entry.id === '' ? '(none)' : entry.id),
    row('SPIFFE ID', idText(entry.spiffe_id)),
    row('Parent ID', idText(entry.parent_id)),
    row('Revision', String(entry.revision_number ?? 0)),
    entry.downstream ? row('Downstream', 'true') : '',
    row('X509-SVID TTL', ttl(entry.x509_svid_ttl)),
    row('JWT-SVID TTL', ttl(entry.jwt_svid_ttl)),
    expiresAt === 0 ? '' : row('Expiration time', goTime(new Date(expiresAt * 1000), 'UTC')),
    ...(entry.selectors ?? []).map((one) => row('Selector', `${one.type}:${one.value}`)),
    ...(entry.federates_with ?? []).map((one) => row('FederatesWith', one)),
    ...(entry.dns_names ?? []).map((one) => row('DNS name', one)),
    entry.admin ? row('Admin', 'true') : '',
    entry.store_svid ? row('StoreSvid', 'true') : '',
    entry.hint ? row('Hint', entry.hint) : '',
    attributes?.disable_x509_svid_prefetch ? row('DisableX509SvidPrefetch', 'true') : '',
    attributes?.jwt_svid_include_jti ? row('JwtSvidIncludeJti', 'true') : '',
    '\n',
  ].join('');
}

/** The same entry with its selectors in the order in which they are printed. */
export function sortedSelectors(entry: Entry__Output): Entry__Output {
  const selectors = [...entry.selectors].sort((a, b) => compareText(a.type, b.type) || compareText(a.value, b.value));
  return { ...entry, selectors };
}

/** The order in which entries are listed: by SPIFFE ID, parent ID, lifetimes, then sorted selectors. */
export function compareEntries(a: Entry__Output, b: Entry__Output): number {
  return (
    compareIds(a.spiffe_id, b.spiffe_id) ||
    compareIds(a.parent_id, b.parent_id) ||
    a.x509_svid_ttl - b.x509_svid_ttl ||
    a.jwt_svid_ttl - b.jwt_svid_ttl ||
    a.selectors.length - b.selectors.length ||
    compareText(selectorText(a), selectorText(b))
  );
}

function compareIds(a: SPIFFEID | null, b: SPIFFEID | null): number {
  return compareText(a?.trust_domain ?? '', b?.trust_domain ?? '') || compareText(a?.path ?? '', b?.path ?? '');
}

/** A NUL sorts below every character of a selector, so the repeated compare as the lists would. */
function selectorText(entry: Entry__Output): string {
  return entry.selectors.map((one) => `${one.type}\0${one.value}`).join('\0');
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
