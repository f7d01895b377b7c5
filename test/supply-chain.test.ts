import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  isFor,
  licenceFindings,
  type LockedPackage,
  type LockFile,
  packageName,
  pinFindings,
  scriptedPackages,
} from './support/lock-file.ts';

const root = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const lock = JSON.parse(read('package-lock.json')) as LockFile;
const manifest = JSON.parse(read('package.json')) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
};

/** Only what is installed here can be asked for its own package.json; npm leaves out what is for other systems. */
const installed = (file: string): boolean => existsSync(path.join(root, file, 'package.json'));

function licenceOf(file: string, { license }: LockedPackage): string | undefined {
  if (!installed(file)) return license;
  const stated = (JSON.parse(read(`${file}/package.json`)) as { license?: unknown }).license;
  return typeof stated === 'string' ? stated : undefined;
}

function only(accept: (file: string, locked: LockedPackage) => boolean): LockFile {
  return { packages: Object.fromEntries(Object.entries(lock.packages).filter(([file, one]) => accept(file, one))) };
}

describe('the packages we depend on', () => {
  it('have licences that go with Apache-2.0, as the packages themselves state', () => {
    const here = only((file) => installed(file));
    expect(Object.keys(here.packages).length).toBeGreaterThan(100);
    expect(licenceFindings(here, licenceOf)).toEqual([]);
  });

  it('have licences that go with Apache-2.0 also on other systems, as far as the lock file states them', () => {
    expect(
      licenceFindings(
        only((_, { license }) => license !== undefined),
        (_, { license }) => license,
      ),
    ).toEqual([]);
  });

  it('are pinned by checksum wherever they are shipped or installed on Linux with glibc', () => {
    for (const cpu of ['x64', 'arm64']) {
      const linux = only((_, locked) => isFor(locked, { os: 'linux', cpu, libc: 'glibc' }));
      expect(pinFindings(linux)).toEqual([]);
    }
    expect(pinFindings(only((_, { dev }) => dev !== true))).toEqual([]);
  });

  it('without a checksum are tools for other systems alone', () => {
    const unpinned = pinFindings(lock).map((finding) => finding.split(':')[0] ?? '');
    const strange = Object.entries(lock.packages).filter(
      ([file, { dev, optional }]) =>
        file !== '' && unpinned.includes(packageName(file)) && !(dev === true && optional === true),
    );
    expect(strange).toEqual([]);
  });

  it('run no script when installed, but for those that are known', () => {
    const known = new Set(Object.keys(manifest.allowScripts));
    // Only on macOS, and only for watching files.
    known.add('fsevents');
    expect(scriptedPackages(lock).filter((name) => !known.has(name))).toEqual([]);
  });

  it('are each listed with a reason, and nothing else is', () => {
    const listed = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \| (\d+\.\d+\.\d+) \|/gm)].map(
      ([, name, version]) => `${name}@${version}`,
    );
    const wanted = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(listed.toSorted()).toEqual(wanted.map(([name, version]) => `${name}@${version}`).toSorted());
  });

  it('are named by exact versions', () => {
    const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});

describe('the judge of a lock file', () => {
  const of = (locked: LockedPackage): LockFile => ({ packages: { '': {}, 'node_modules/a': locked } });
  const stated = (_: string, { license }: LockedPackage): string | undefined => license;

  it.each([
    [{ license: 'MIT' }, []],
    [{ license: '(MIT OR WTFPL)' }, []],
    [{ license: 'MPL-2.0', dev: true }, []],
    [{ license: 'MPL-2.0' }, ['a: licence MPL-2.0']],
    [{ license: 'GPL-3.0-only', dev: true }, ['a: licence GPL-3.0-only']],
    [{ license: 'MIT AND GPL-2.0' }, ['a: licence MIT AND GPL-2.0']],
    [{}, ['a: no licence is stated']],
  ])('finds of the licence of %j: %j', (locked, findings) => {
    expect(licenceFindings(of(locked), stated)).toEqual(findings);
  });

  it.each([
    [{ integrity: 'sha512-x', resolved: 'https://registry.npmjs.org/a/-/a-1.tgz' }, []],
    [{ integrity: 'sha1-x' }, ['a: no sha512 checksum']],
    [{}, ['a: no sha512 checksum']],
    [
      { integrity: 'sha512-x', resolved: 'git+ssh://git@example.org/a.git' },
      ['a: from git+ssh://git@example.org/a.git'],
    ],
  ])('finds of the source of %j: %j', (locked, findings) => {
    expect(pinFindings(of(locked))).toEqual(findings);
  });

  it('finds scripts', () => {
    expect(scriptedPackages(of({ hasInstallScript: true }))).toEqual(['a']);
    expect(scriptedPackages(of({}))).toEqual([]);
  });

  it.each([
    [{ os: ['linux'], cpu: ['x64'], libc: ['glibc'] }, true],
    [{ os: ['!win32'] }, true],
    [{}, true],
    [{ os: ['darwin'] }, false],
    [{ os: ['!linux'] }, false],
    [{ libc: ['musl'] }, false],
  ])('knows what %j is for: %j', (locked, here) => {
    expect(isFor(locked, { os: 'linux', cpu: 'x64', libc: 'glibc' })).toBe(here);
  });
});
