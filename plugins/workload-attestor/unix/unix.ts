import { createHash } from 'node:crypto';
import { open, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { boolean, integer, object, withDefault } from '../../../common/config/schema.ts';
import { FinialError, messageOf } from '../../../common/errors.ts';
import { parseProcessStatus } from '../../../common/net/proc.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import { definePlugin } from '../../plugin.ts';
import type { WorkloadAttestor } from '../contract.ts';
import { accountNames } from './accounts.ts';

/** Where the facts come from; tests point them at files of their own. */
export interface UnixSources {
  /** The proc file system; `HOST_PROC` names another one when the agent runs in a container. */
  readonly proc: string;
  readonly passwd: string;
  readonly group: string;
}

/** The `plugin_data` of the plugin. */
export interface UnixConfig {
  readonly discover_workload_path: boolean;
  readonly workload_size_limit: number;
}

/** `WorkloadAttestor "unix"`: selectors from the credentials and the program of a process. See README.md beside it. */
export const unixWorkloadAttestor = definePlugin<UnixConfig, WorkloadAttestor>({
  type: 'WorkloadAttestor',
  name: 'unix',
  // The reference ignores unknown keys here, and configurations in the field rely on it.
  config: object(
    { discover_workload_path: withDefault(boolean(), false), workload_size_limit: withDefault(integer(), 0) },
    { unknown: 'ignore' },
  ),
  create: (config, { log }) =>
    createUnixAttestor(config, log, {
      proc: process.env['HOST_PROC'] || '/proc',
      passwd: '/etc/passwd',
      group: '/etc/group',
    }),
});

/** The attestor over given sources. */
export function createUnixAttestor(config: UnixConfig, log: Logger, sources: UnixSources): WorkloadAttestor {
  const users = accountNames(sources.passwd);
  const groups = accountNames(sources.group);

  /** A selector with the name of an account; without one when the name cannot be told, as that must not deny service. */
  const named = async (kind: string, names: typeof users, id: number): Promise<Selector[]> => {
    try {
      const name = await names.nameOf(id);
      return name === undefined ? [] : [unix(kind, name)];
    } catch (error) {
      log.warn('Failed to look up an account name', { kind, error });
      return [];
    }
  };

  return {
    async attest(pid, signal) {
      const folder = path.join(sources.proc, String(pid));
      const status = parseProcessStatus(await readProc(path.join(folder, 'status')));
      const { effectiveUid: uid, effectiveGid: gid, supplementaryGids } = status;
      const selectors = [
        unix('uid', uid),
        ...(await named('user', users, uid)),
        unix('gid', gid),
        ...(await named('group', groups, gid)),
      ];
      for (const id of supplementaryGids) {
        selectors.push(unix('supplementary_gid', id), ...(await named('supplementary_group', groups, id)));
      }
      if (config.discover_workload_path) selectors.push(...(await programSelectors(folder, config, signal)));
      return selectors;
    },
  };
}

function unix(kind: string, value: string | number): Selector {
  return { type: 'unix', value: `${kind}:${value}` };
}

async function readProc(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new FinialError('internal', `cannot read the process's status: ${messageOf(error)}`, { cause: error });
  }
}

/** `path` and, unless the limit is negative, `sha256` of the program that the process runs. */
async function programSelectors(folder: string, config: UnixConfig, signal: AbortSignal): Promise<Selector[]> {
  const link = path.join(folder, 'exe');
  const program = await readlink(link).catch((error: unknown) => {
    throw new FinialError('internal', `cannot read the path of the program: ${messageOf(error)}`, { cause: error });
  });
  const selectors = [unix('path', program)];
  if (config.workload_size_limit < 0) return selectors;
  return [...selectors, unix('sha256', await digestOf(link, program, config.workload_size_limit, signal))];
}

/** Hashes through the link of the process, so that a program replaced or deleted on disk is still the one that runs. */
async function digestOf(link: string, program: string, limit: number, signal: AbortSignal): Promise<string> {
  const file = await open(link);
  try {
    const { size } = await file.stat();
    if (limit > 0 && size > limit) {
      throw new FinialError('internal', `workload ${program} exceeds size limit (${size} > ${limit})`);
    }
    const hash = createHash('sha256');
    for await (const part of file.createReadStream({ autoClose: false, highWaterMark: 1 << 18, signal })) {
      hash.update(part as Buffer);
    }
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}
