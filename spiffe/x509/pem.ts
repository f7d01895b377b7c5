import { SpiffeError } from '../error.ts';

/** One block of a PEM text (RFC 7468). */
export interface PemBlock {
  /** Such as `CERTIFICATE`. */
  readonly label: string;
  readonly der: Buffer;
}

const LABEL_LINE = /^-----(BEGIN|END) ([\x21-\x2c\x2e-\x7e](?:[- ]?[\x21-\x2c\x2e-\x7e])*)-----[ \t]*$/;
const HEADER_LINE = /^[A-Za-z0-9-]+:/;
const BASE64_TEXT = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** One block with lines of 64 characters and a newline at the end, so that blocks can be joined. */
export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  return `-----BEGIN ${label}-----\n${base64.replaceAll(/(.{64})(?=.)/g, '$1\n')}\n-----END ${label}-----\n`;
}

/**
 * All blocks of a PEM text, in order. Text outside of blocks is ignored, as such files often carry a description.
 *
 * @throws SpiffeError `invalid-pem` for a block that has no end, is not base64, or is encrypted
 */
export function decodePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let label: string | undefined;
  let lines: string[] = [];
  for (const line of text.split(/\r\n|\n|\r/)) {
    const match = line.startsWith('-----') ? LABEL_LINE.exec(line) : null;
    if (match === null) {
      if (label !== undefined) lines.push(line);
      continue;
    }
    const [, edge, name = ''] = match;
    if (edge === 'BEGIN') {
      if (label !== undefined) throw new SpiffeError('invalid-pem', `PEM block ${label} has no end`);
      label = name;
      lines = [];
    } else {
      if (label !== name) throw new SpiffeError('invalid-pem', `PEM block ${label ?? name} has no matching edges`);
      blocks.push({ label, der: decodeBody(label, lines) });
      label = undefined;
    }
  }
  if (label !== undefined) throw new SpiffeError('invalid-pem', `PEM block ${label} has no end`);
  return blocks;
}

function decodeBody(label: string, lines: readonly string[]): Buffer {
  let from = 0;
  // RFC 1421 headers, which RFC 7468 has no more, stand before an empty line.
  while (HEADER_LINE.test(lines[from] ?? '')) {
    if (/^Proc-Type:.*ENCRYPTED/.test(lines[from] ?? '')) {
      throw new SpiffeError('invalid-pem', `PEM block ${label} is encrypted`);
    }
    from += 1;
  }
  const base64 = lines.slice(from).join('').replaceAll(/[ \t]/g, '');
  if (base64 === '' || !BASE64_TEXT.test(base64)) {
    throw new SpiffeError('invalid-pem', `PEM block ${label} is not well-formed base64`);
  }
  return Buffer.from(base64, 'base64');
}

const CERTIFICATE = 'CERTIFICATE';

/** One `CERTIFICATE` block for each DER certificate. */
export function certificatesToPem(ders: readonly Uint8Array[]): string {
  return ders.map((der) => encodePem(CERTIFICATE, der)).join('');
}

/**
 * The DER of every certificate in a PEM text. The content of the blocks is not looked at.
 *
 * @throws SpiffeError `invalid-pem` when there is none, or a block of another kind
 */
export function certificatesFromPem(text: string): Buffer[] {
  const blocks = decodePem(text);
  if (blocks.length === 0) throw new SpiffeError('invalid-pem', 'no PEM blocks found');
  return blocks.map(({ label, der }) => {
    if (label !== CERTIFICATE) throw new SpiffeError('invalid-pem', `expected PEM block ${CERTIFICATE}, got ${label}`);
    return der;
  });
}
