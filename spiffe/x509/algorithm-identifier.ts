import { DerReader, TAG } from './der.ts';

/**
 * The next element of `reader`, which must have the form of an AlgorithmIdentifier (RFC 5280 4.1.1.2): an object
 * identifier and at most one element of parameters. Which algorithm it is, is not asked.
 *
 * @returns its DER
 * @throws SpiffeError `invalid-der`
 */
export function readAlgorithmIdentifier(reader: DerReader, what: string): Buffer {
  const der = reader.whole(TAG.sequence, what);
  const identifier = new DerReader(der).sequence(what);
  identifier.oid(what);
  if (!identifier.atEnd) identifier.element(`parameters of the ${what}`);
  identifier.finish(what);
  return der;
}
