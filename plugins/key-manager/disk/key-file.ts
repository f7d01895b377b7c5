import { readFile } from 'node:fs/promises';
import { replaceFile } from '../../../common/atomic-file.ts';
import { FinialError, messageOf } from '../../../common/errors.ts';
import { type PrivateKeySigner, privateKeyFromPkcs8, signerFromPrivateKey } from '../../../spiffe/x509/key.ts';
import type { HeldKeys } from '../../../common/keys-in-process.ts';

const OWNER_ONLY = 0o600;

/**
 * The keys kept in `file`, none when it does not exist.
 *
 * A file that cannot be understood is never treated as an empty one: the next write would destroy the keys of
 * authorities that whole fleets trust.
 *
 * @throws FinialError `failed-precondition` that names the file and what is wrong with it, never its content
 */
export async function readKeyFile(file: string): Promise<HeldKeys> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return new Map();
    throw new FinialError('failed-precondition', `unable to read keys file ${file}: ${messageOf(error)}`);
  }
  return parseKeys(text, file);
}

/** Replaces the file whole; the previous keys stay until the new set is on the disk. */
export async function writeKeyFile(file: string, keys: HeldKeys): Promise<void> {
  try {
    await replaceFile(file, formatKeys(keys), OWNER_ONLY);
  } catch (error) {
    throw new FinialError('internal', `unable to write keys file ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** The reference's format: tab-indented JSON, IDs in order, each key the base64 of its PKCS#8 DER, no last newline. */
function formatKeys(keys: HeldKeys): string {
  const ids = [...keys.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  // Object.fromEntries would move IDs that look like numbers to the front.
  const lines = ids.map((id) => `\t\t${JSON.stringify(id)}: "${keys.get(id)?.pkcs8().toString('base64') ?? ''}"`);
  return lines.length === 0 ? '{\n\t"keys": {}\n}' : `{\n\t"keys": {\n${lines.join(',\n')}\n\t}\n}`;
}

function parseKeys(text: string, file: string): HeldKeys {
  const keys = new Map<string, PrivateKeySigner>();
  for (const [id, encoded] of Object.entries(keysOf(text, file))) {
    if (typeof encoded !== 'string') throw malformed(file, `key ${JSON.stringify(id)} is not text`);
    keys.set(id, parseKey(id, encoded, file));
  }
  return keys;
}

function keysOf(text: string, file: string): object {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text around the error, which is a private key.
    throw malformed(file, text.trim() === '' ? 'it is empty' : 'it is not valid JSON (cut short or edited?)');
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw malformed(file, 'it is not a JSON object');
  }
  const keys: unknown = 'keys' in document ? document.keys : undefined;
  if (keys === null) return {};
  if (typeof keys !== 'object' || Array.isArray(keys)) throw malformed(file, 'it has no object "keys"');
  return keys;
}

function parseKey(id: string, encoded: string, file: string): PrivateKeySigner {
  try {
    return signerFromPrivateKey(privateKeyFromPkcs8(Buffer.from(encoded, 'base64')));
  } catch {
    throw malformed(file, `key ${JSON.stringify(id)} is not the base64 of a PKCS#8 key of a supported type`);
  }
}

function malformed(file: string, problem: string): FinialError {
  return new FinialError(
    'failed-precondition',
    `keys file ${file} cannot be used: ${problem}; restore it from a backup, or move it away to begin with new keys`,
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
