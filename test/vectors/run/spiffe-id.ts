import {
  appendPath,
  appendSegments,
  formatPath,
  isMemberOf,
  isSpiffeId,
  parseSpiffeId,
  pathOf,
  replacePath,
  replaceSegments,
  type SpiffeId,
  type SpiffeIdOptions,
  spiffeId,
  spiffeIdOfSegments,
  trustDomainOf,
} from '../../../spiffe/id.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { acceptedBytes, NO_TEXTS, type NoText, type VectorText, vectorText } from '../../support/vectors.ts';

/** A text to read, or what else to do. */
type Input =
  | VectorText
  | { do: 'parse'; text: VectorText; options: SpiffeIdOptions }
  | { do: 'parseOther'; kind: NoText }
  | { do: 'equal'; texts: readonly string[] }
  | { do: 'bytes'; before: string; after: string }
  | { do: 'fromPath'; trustDomain: string; path: VectorText }
  | { do: 'fromSegments'; trustDomain: string; segments: readonly VectorText[] }
  | { do: 'appendPath' | 'replacePath'; id: VectorText; path: VectorText; options?: SpiffeIdOptions }
  | { do: 'appendSegments' | 'replaceSegments'; id: string; segments: readonly string[] }
  | { do: 'format'; id: string; values: readonly [string, string] }
  | { do: 'json'; id?: string }
  | { do: 'guard'; values: readonly unknown[] }
  | { do: 'memberOf'; id: string; trustDomain: string };

export function run(input: Input): unknown {
  if (typeof input === 'string' || !('do' in input)) return partsOf(parseSpiffeId(vectorText(input)));
  switch (input.do) {
    case 'parse':
      return partsOf(parseSpiffeId(vectorText(input.text), input.options));
    case 'parseOther':
      return parseSpiffeId(NO_TEXTS[input.kind] as string);
    case 'equal':
      return new Set(input.texts.map((text) => parseSpiffeId(text))).size === 1;
    case 'bytes':
      return acceptedBytes((byte) => parseSpiffeId(`${input.before}${byte}${input.after}`));
    case 'json':
      return throughJson(input.id);
    case 'guard':
      return input.values.filter(isSpiffeId);
    case 'memberOf':
      return isMemberOf(parseSpiffeId(input.id), parseTrustDomain(input.trustDomain));
    case 'fromPath':
    case 'fromSegments':
    case 'appendPath':
    case 'appendSegments':
    case 'replacePath':
    case 'replaceSegments':
    case 'format':
      return partsOf(build(input));
  }
}

type Building = Extract<Input, { readonly do: `${string}Path` | `${string}Segments` | 'format' }>;

function build(input: Building): SpiffeId {
  switch (input.do) {
    case 'fromPath':
      return spiffeId(parseTrustDomain(input.trustDomain), vectorText(input.path));
    case 'fromSegments':
      return spiffeIdOfSegments(parseTrustDomain(input.trustDomain), ...input.segments.map(vectorText));
    case 'appendPath':
      return appendPath(parseSpiffeId(vectorText(input.id), input.options), vectorText(input.path));
    case 'replacePath':
      return replacePath(parseSpiffeId(vectorText(input.id), input.options), vectorText(input.path));
    case 'appendSegments':
      return appendSegments(parseSpiffeId(input.id), ...input.segments);
    case 'replaceSegments':
      return replaceSegments(parseSpiffeId(input.id), ...input.segments);
    case 'format': {
      const [namespace, account] = input.values;
      return replacePath(parseSpiffeId(input.id), formatPath`/ns/${namespace}/sa/${account}`);
    }
  }
}

function partsOf(id: SpiffeId): object {
  return { id, trustDomain: trustDomainOf(id), path: pathOf(id), length: id.length };
}

function throughJson(text: string | undefined): object {
  const json = JSON.stringify({ id: text === undefined ? undefined : parseSpiffeId(text) });
  const { id } = JSON.parse(json) as { readonly id?: string };
  return { json, ...(id !== undefined && { back: parseSpiffeId(id) }) };
}
