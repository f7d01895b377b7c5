import { parseTrustDomain, type TrustDomain } from '../../../spiffe/trust-domain.ts';
import { readVectors, type VectorText, vectorText } from '../../support/vectors.ts';

type Members = Readonly<Record<string, unknown>>;

const file = readVectors('bundle-keys.json') as {
  readonly keys: Readonly<Record<string, Members>>;
  readonly certificates: Readonly<Record<string, string>>;
};

/** A bundle document: as text, as bytes, or made of the keys of bundle-keys.json. */
export type DocumentInput = { readonly trustDomain?: string } & (
  | { readonly text: VectorText }
  | { readonly hex: string }
  | { readonly keys: readonly KeyInput[]; readonly members?: Members }
);

/** A key by its name, with other members laid over it; null leaves one out. Anything else stands for itself. */
type KeyInput = { readonly key?: string; readonly set?: Members } | string | number | null | readonly unknown[];

/** Several documents by trust domain, or the text of a map. */
export type MapInput = { readonly text: VectorText } | { readonly map: Readonly<Record<string, DocumentInput>> };

export function documentOf(input: DocumentInput): string | Buffer {
  if ('hex' in input) return Buffer.from(input.hex, 'hex');
  return 'text' in input ? vectorText(input.text) : JSON.stringify(membersOf(input));
}

export function mapOf(input: MapInput): string {
  if ('text' in input) return vectorText(input.text);
  const members = Object.entries(input.map).map(([name, bundle]) => [name, JSON.parse(String(documentOf(bundle)))]);
  return JSON.stringify({ trust_domains: Object.fromEntries(members) });
}

export function trustDomainOf({ trustDomain = 'example.org' }: DocumentInput): TrustDomain {
  return parseTrustDomain(trustDomain);
}

/** DER of a certificate of bundle-keys.json. */
export function certificateNamed(name: string): Buffer {
  const base64 = file.certificates[name];
  if (base64 === undefined) throw new Error(`bundle-keys.json has no certificate ${name}`);
  return Buffer.from(base64, 'base64');
}

export function nameOfCertificate(der: Buffer): string | undefined {
  return Object.keys(file.certificates).find((name) => certificateNamed(name).equals(der));
}

function membersOf({ keys, members }: { readonly keys: readonly KeyInput[]; readonly members?: Members }): Members {
  return { keys: keys.map(keyOf), ...members };
}

function keyOf(input: KeyInput): unknown {
  if (typeof input !== 'object' || input === null || !('key' in input || 'set' in input)) return input;
  const { key, set = {} } = input;
  const known = key === undefined ? {} : file.keys[key];
  if (known === undefined) throw new Error(`bundle-keys.json has no key ${String(key)}`);
  return Object.fromEntries(Object.entries({ ...known, ...set }).filter(([, value]) => value !== null));
}
