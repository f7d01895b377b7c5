import { sqlError } from './errors.ts';

/** The schema that this build reads and writes. */
export const SCHEMA_VERSION = 25;

/** The oldest schema that can be migrated. */
const OLDEST_SCHEMA_VERSION = 23;

/** The reference's version whose schema ours is; other servers on the database compare it with their own. */
export const CODE_VERSION = '1.15.3';

/** The row of the `migrations` table. */
export interface StoredVersion {
  readonly schema: number;
  /** Version of the newest server that opened the database; empty in very old ones. */
  readonly code: string;
}

/** What is to be done with a database. */
export type MigrationPlan =
  | { readonly action: 'create' }
  /** `steps` are the schema versions to go to, in order. */
  | { readonly action: 'migrate'; readonly steps: readonly number[] }
  | { readonly action: 'use'; readonly raiseCodeVersion: boolean; readonly warning?: string };

/**
 * What to do with a database before using it.
 *
 * @param stored undefined for a database without tables
 * @param options.disableMigration leave an older or newer schema as it is, if servers of its version get on with ours
 * @throws FinialError `failed-precondition` when the database cannot be used
 */
export function planMigration(
  stored: StoredVersion | undefined,
  options: { readonly disableMigration: boolean },
): MigrationPlan {
  if (stored === undefined) return { action: 'create' };
  const own = parseVersion(CODE_VERSION);
  const theirs = parseVersion(stored.code);
  if (stored.schema === SCHEMA_VERSION) return { action: 'use', raiseCodeVersion: compare(own, theirs) > 0 };
  const compatible = own.major === theirs.major && Math.abs(own.minor - theirs.minor) <= 1;
  if (options.disableMigration) {
    if (!compatible) {
      throw cannotUse(`schema version ${stored.schema} needs a migration and disable_migration is set`);
    }
    const warning = `Database has schema version ${stored.schema} instead of ${SCHEMA_VERSION} and migration is disabled`;
    return { action: 'use', raiseCodeVersion: false, warning };
  }
  if (stored.schema > SCHEMA_VERSION) {
    if (!compatible) {
      throw cannotUse(`schema version ${stored.schema} of server version ${stored.code} is too new for this server`);
    }
    return {
      action: 'use',
      raiseCodeVersion: false,
      warning: 'DB schema is ahead of code version, upgrading SPIRE Server is recommended',
    };
  }
  if (stored.schema < OLDEST_SCHEMA_VERSION) {
    throw cannotUse(
      `schema version ${stored.schema} is too old to migrate; versions ${OLDEST_SCHEMA_VERSION} to ${SCHEMA_VERSION} ` +
        'can be used, so upgrade through the releases in between first',
    );
  }
  const steps: number[] = [];
  for (let step = stored.schema + 1; step <= SCHEMA_VERSION; step += 1) steps.push(step);
  return { action: 'migrate', steps };
}

interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** Empty for a release. */
  readonly prerelease: string;
}

function parseVersion(text: string): Version {
  if (text === '') return { major: 0, minor: 0, patch: 0, prerelease: '' };
  const match = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text);
  if (match === null) throw cannotUse(`the code version "${text}" in table migrations is not a version`);
  const [, major = '', minor = '', patch = '', prerelease = ''] = match;
  return { major: Number(major), minor: Number(minor), patch: Number(patch), prerelease };
}

/** Semantic versioning 11, without comparing two pre-releases: ours is never one. */
function compare(a: Version, b: Version): number {
  const byNumbers = a.major - b.major || a.minor - b.minor || a.patch - b.patch;
  return byNumbers || Number(b.prerelease !== '') - Number(a.prerelease !== '');
}

function cannotUse(reason: string): Error {
  return sqlError('failed-precondition', `cannot use the database: ${reason}`);
}
