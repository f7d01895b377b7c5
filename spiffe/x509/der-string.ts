import { SpiffeError } from '../error.ts';
import { TAG } from './der.ts';

const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
/** `*` and `&` do not belong there, but certificates in the field have them. */
const PRINTABLE_IN_THE_FIELD = /^[A-Za-z0-9 '()+,\-./:=?*&]*$/;
const NUMERIC = /^[0-9 ]*$/;

/** Whether a PrintableString (X.680 41.4) can hold `text`. */
export const isPrintable = (text: string): boolean => PRINTABLE.test(text);

/** Whether an IA5String can hold `text`. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/**
 * The text of a string element.
 *
 * @throws SpiffeError `invalid-der` for bytes that the type cannot hold, and for types that are not text
 */
export function decodeString(tag: number, content: Buffer, what: string): string {
  switch (tag) {
    case TAG.printableString:
      return checked(content.toString('latin1'), (text) => PRINTABLE_IN_THE_FIELD.test(text), what);
    case TAG.utf8String:
      return decodeUtf8(content, what);
    case TAG.ia5String:
      return decodeIa5(content, what);
    case TAG.numericString:
      return checked(content.toString('latin1'), (text) => NUMERIC.test(text), what);
    case TAG.t61String:
      // Nobody implements T.61; everybody reads its code points as Latin-1, which is nearly right.
      return content.toString('latin1');
    case TAG.bmpString:
      return decodeBmp(content, what);
    default:
      throw new SpiffeError('invalid-der', `${what} is not a string of a supported type`);
  }
}

/** @throws SpiffeError `invalid-der` for a byte that is not ASCII */
export function decodeIa5(content: Buffer, what: string): string {
  return checked(content.toString('latin1'), isAscii, what);
}

function decodeUtf8(content: Buffer, what: string): string {
  const text = content.toString('utf8');
  // A malformed sequence was replaced by U+FFFD and so does not come back.
  return checked(text, () => Buffer.from(text, 'utf8').equals(content), what);
}

function decodeBmp(content: Buffer, what: string): string {
  if (content.length % 2 !== 0) throw malformed(what);
  const text = Buffer.from(content).swap16().toString('utf16le').replace(/\0$/, '');
  // A BMPString is UCS-2: it has no surrogates, and no code points reserved for ever.
  return checked(text, () => !/[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]/.test(text), what);
}

function checked(text: string, holds: (text: string) => boolean, what: string): string {
  if (!holds(text)) throw malformed(what);
  return text;
}

function malformed(what: string): SpiffeError {
  return new SpiffeError('invalid-der', `${what} has characters that its type does not allow`);
}
