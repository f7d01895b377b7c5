import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, readlink } from 'node:fs/promises';
import path from 'node:path';
import { boolean, integer, object, withDefault } from '../../../common/config/schema.ts';
import { FinialError, messageOf } from '../../../common/errors.ts';
import { parseProcessStatus, type ProcessStatus } from '../../../common/net/proc.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import { definePlugin } from '../../plugin.ts';
import type { WorkloadAttestor } from '../contract.ts';
import { type AccountNames, accountNames } from './accounts.ts';

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

  /** None when they cannot be told, as that must not deny service. */
  const namesOf = (kind: string, names: AccountNames): ReadonlyMap<number, string> => {
    try {
      return names.current();
    } catch (error) {
      log.warn('Failed to look up account names', { kind, error });
      return NO_NAMES;
    }
  };
  const selectorsOf = selectorsByAccounts();

  return {
    async attest(pid, signal) {
      const folder = path.join(sources.proc, String(pid));
      const status = readStatus(path.join(folder, 'status'));
      const selectors = selectorsOf(status, namesOf('user', users), namesOf('group', groups));
      if (!config.discover_workload_path) return selectors;
      return [...selectors, ...(await programSelectors(folder, config, signal))];
    },
  };
}

const NO_NAMES: ReadonlyMap<number, string> = new Map();
/** Lists of selectors that are kept; the accounts that workloads of one node run as are few. */
const MOST_LISTS = 256;

/** Gives the same frozen list for the same accounts, by which the agent knows workloads alike without comparing them. */
function selectorsByAccounts() {
  const lists = new Map<string, readonly Selector[]>();
  let named: readonly unknown[] = [];
  return (
    { effectiveUid: uid, effectiveGid: gid, supplementaryGids }: ProcessStatus,
    userNames: ReadonlyMap<number, string>,
    groupNames: ReadonlyMap<number, string>,
  ): readonly Selector[] => {
    if (named[0] !== userNames || named[1] !== groupNames || lists.size >= MOST_LISTS) {
      lists.clear();
      named = [userNames, groupNames];
    }
    const key = `${uid} ${gid} ${supplementaryGids.join(' ')}`;
    const known = lists.get(key);
    if (known !== undefined) return known;
    const selectors = account('uid', 'user', uid, userNames);
    selectors.push(...account('gid', 'group', gid, groupNames));
    for (const id of supplementaryGids) {
      selectors.push(...account('supplementary_gid', 'supplementary_group', id, groupNames));
    }
    lists.set(key, Object.freeze(selectors));
    return selectors;
  };
}

/** Selectors of an account: its id, and its name if it has one. */
function account(idKind: string, nameKind: string, id: number, names: ReadonlyMap<number, string>): Selector[] {
  const name = names.get(id);
  return name === undefined ? [unix(idKind, id)] : [unix(idKind, id), unix(nameKind, name)];
}

function unix(kind: string, value: string | number): Selector {
  return { type: 'unix', value: `${kind}:${value}` };
}

/**
 * The kernel makes the file up as it is read, waiting for nothing, in 13 us; through the thread pool it took 166 us of
 * processor time (measured), which was a third of all that a call of the Workload API cost.
 */
function readStatus(file: string): ProcessStatus {
  try {
    return parseProcessStatus(readFileSync(file, 'utf8'));
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
