import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { FinialError, messageOf } from '../../../common/errors.ts';
import type { Clock } from '../../../common/clock.ts';
import { lockForProcess } from '../../../common/file-lock.ts';
import type { Logger } from '../../../common/log/logger.ts';
import { object, required, string } from '../../../common/config/schema.ts';
import { definePlugin } from '../../plugin.ts';
import type { KeyManager } from '../contract.ts';
import { keysInProcess } from '../../../common/keys-in-process.ts';
import { spareCopy } from '../../../common/spare-copy.ts';
import { readKeyFile, writeKeyFile } from './key-file.ts';

/** The server's half: all keys in the one file that `keys_path` names. */
export const serverDiskKeyManager = definePlugin({
  type: 'KeyManager',
  name: 'disk',
  config: object({ keys_path: required(string()) }),
  create: (config, context): Promise<KeyManager> => keysInFile(config.keys_path, context),
});

/** The agent's half: all keys in `keys.json` of the folder that `directory` names; made, for the owner only, if missing. */
export const agentDiskKeyManager = definePlugin({
  type: 'KeyManager',
  name: 'disk',
  config: object({ directory: required(string()) }),
  async create(config, context): Promise<KeyManager> {
    await prepareFolder(config.directory);
    return keysInFile(path.join(config.directory, 'keys.json'), context);
  },
});

async function keysInFile(
  file: string,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<KeyManager> {
  // Each of two processes would write its own keys over those of the other.
  lockForProcess(file, 'keys file');
  const keys = await readKeyFile(file);
  // As on a first start. Whoever holds what the keys belonged to warns of their loss.
  if (keys.size === 0) log.info('Keys file holds no keys; new ones will be made', { path: file });
  const held = keysInProcess({ keys, persist: (changed) => writeKeyFile(file, changed) });
  let copy: Promise<string | undefined> | undefined;
  return { ...held, place: file, keepCopy: () => (copy ??= spareCopy(file, clock.now())) };
}

/** Finds out at start, and not at the first rotation, that the folder cannot be written. */
async function prepareFolder(folder: string): Promise<void> {
  const probe = path.join(folder, '.probe');
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(probe, '', { mode: 0o600 });
    await rm(probe);
  } catch (error) {
    throw new FinialError('failed-precondition', `directory validation failed: ${messageOf(error)}`, { cause: error });
  }
}
