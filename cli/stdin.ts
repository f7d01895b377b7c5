import { FinialError } from '../common/errors.ts';

/** Nothing that is piped in is larger; the bound keeps a mistake from filling memory. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Everything that is piped in, as text. @throws FinialError `resource-exhausted` above 64 MiB */
export async function readAll(input: AsyncIterable<Buffer | string>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of input) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > MOST_BYTES)
      throw new FinialError('resource-exhausted', `standard input is larger than ${MOST_BYTES} bytes`);
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString('utf8');
}
