import { trustDomainId } from '../../../spiffe/id.ts';
import { isTrustDomain, parseTrustDomain, type ReadOptions, type TrustDomain } from '../../../spiffe/trust-domain.ts';
import { NO_TEXTS, type NoText, type VectorText, vectorText } from '../../support/vectors.ts';

/** A text to read, or what else to do. */
type Input =
  | VectorText
  | { do: 'parse'; text: VectorText; options: ReadOptions }
  | { do: 'parseOther'; kind: NoText }
  | { do: 'distinct'; texts: readonly string[] }
  | { do: 'guard'; values: readonly unknown[] };

export function run(input: Input): unknown {
  if (typeof input === 'string' || !('do' in input)) return partsOf(parseTrustDomain(vectorText(input)));
  switch (input.do) {
    case 'parse':
      return partsOf(parseTrustDomain(vectorText(input.text), input.options));
    case 'parseOther':
      return parseTrustDomain(NO_TEXTS[input.kind] as string);
    case 'distinct':
      return new Set(input.texts.map((text) => parseTrustDomain(text))).size;
    case 'guard':
      return input.values.filter(isTrustDomain);
  }
}

function partsOf(name: TrustDomain): object {
  return { name, id: trustDomainId(name), length: name.length };
}
