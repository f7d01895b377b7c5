import { readFileSync } from 'node:fs';
import path from 'node:path';
import { FinialError, messageOf } from '../errors.ts';
import { expandEnv } from './expand.ts';
import { parseConfigText } from './hcl.ts';
import type { ConfigObject } from './tree.ts';

/** How a configuration file is read. */
export interface LoadOptions {
  /** Replaces `$NAME` and `${NAME}` in the text before it is parsed. */
  readonly expandEnv: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `readFileSync` when absent. */
  readonly readFile?: (file: string) => Buffer;
}

/**
 * Reads and parses a configuration file.
 *
 * @throws FinialError `not-found` when there is no such file, `failed-precondition` when it cannot be read,
 *   `invalid-argument` when it is neither HCL nor JSON; the beginnings of the messages are the reference's
 */
export function loadConfigFile(file: string, options: LoadOptions): ConfigObject {
  const text = decodeUtf8(readConfig(file, options.readFile ?? readFileSync), file);
  try {
    return parseConfigText(options.expandEnv ? expandEnv(text, options.env) : text, file);
  } catch (error) {
    throw new FinialError(
      'invalid-argument',
      `unable to decode configuration at ${quoted(file)}: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

function readConfig(file: string, readFile: (file: string) => Buffer): Buffer {
  try {
    return readFile(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      const where = path.resolve(file);
      throw new FinialError('not-found', `could not find config file ${where}: please use the -config flag`);
    }
    const message = `unable to read configuration at ${quoted(file)}: ${messageOf(error)}`;
    throw new FinialError('failed-precondition', message, { cause: error });
  }
}

function decodeUtf8(data: Buffer, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data);
  } catch (error) {
    const message = `unable to decode configuration at ${quoted(file)}: it is not UTF-8 text`;
    throw new FinialError('invalid-argument', message, { cause: error });
  }
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
