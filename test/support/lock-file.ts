// Questions to a package-lock.json (lockfileVersion 3), answered without the network.

/** What a lock file says of one installed package. */
export interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly hasInstallScript?: boolean;
}

/** As much of a lock file as is looked at; keys are paths such as `node_modules/a/node_modules/b`, and '' the project. */
export interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** Licences whose terms Apache-2.0 software can meet when it depends on the package. */
const COMPATIBLE = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0']);
/** File-level copyleft: fine for a tool that is not shipped. */
const COMPATIBLE_IN_TOOLS = new Set(['MPL-2.0']);

/** The name of the package at a path of the lock file. */
export function packageName(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/** Whether npm installs the package on this system; `current` is that system. */
export function isFor(
  { os, cpu, libc }: LockedPackage,
  current: { readonly os: string; readonly cpu: string; readonly libc: string },
): boolean {
  const allows = (list: readonly string[] | undefined, one: string): boolean => {
    if (list === undefined || list.length === 0) return true;
    return list.includes(one) || (list.every((entry) => entry.startsWith('!')) && !list.includes(`!${one}`));
  };
  return allows(os, current.os) && allows(cpu, current.cpu) && allows(libc, current.libc);
}

/**
 * @returns a line for each package whose licence is unknown or does not fit, by an SPDX expression of alternatives
 */
export function licenceFindings(
  lock: LockFile,
  licenceOf: (path: string, locked: LockedPackage) => string | undefined,
) {
  return found(lock, (path, locked) => {
    const licence = licenceOf(path, locked);
    if (licence === undefined) return `${packageName(path)}: no licence is stated`;
    const alternatives = licence.replace(/^\(|\)$/g, '').split(' OR ');
    const fits = (one: string): boolean => COMPATIBLE.has(one) || (locked.dev === true && COMPATIBLE_IN_TOOLS.has(one));
    return alternatives.some(fits) ? undefined : `${packageName(path)}: licence ${licence}`;
  });
}

/** @returns a line for each package whose content is not pinned by a checksum of the public registry's file */
export function pinFindings(lock: LockFile): string[] {
  return found(lock, (path, { integrity, resolved }) => {
    if (integrity?.startsWith('sha512-') !== true) return `${packageName(path)}: no sha512 checksum`;
    if (resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/')) {
      return `${packageName(path)}: from ${resolved}`;
    }
    return undefined;
  });
}

/** @returns names of the packages that would run a script of theirs when they are installed, without repeats */
export function scriptedPackages(lock: LockFile): string[] {
  const scripted = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript === true);
  return [...new Set(scripted.map(([path]) => packageName(path)))].toSorted();
}

function found(lock: LockFile, judge: (path: string, locked: LockedPackage) => string | undefined): string[] {
  return Object.entries(lock.packages)
    .filter(([path]) => path !== '')
    .map(([path, locked]) => judge(path, locked))
    .filter((finding) => finding !== undefined);
}
