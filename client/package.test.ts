import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { importsOf } from '../test/support/imports.ts';

const root = path.resolve(import.meta.dirname, '..');

/** Everything that loading a file loads in turn, sooner or later: our files and the names of packages. */
function closureOf(entry: string): { readonly files: string[]; readonly packages: string[] } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const { to, typeOnly } of importsOf(file, readFileSync(path.join(root, file), 'utf8'))) {
      if (typeOnly) continue;
      if (to.endsWith('.ts')) visit(to);
      else packages.add(to);
    }
  };
  visit(entry);
  return { files: Array.from(files).sort(), packages: Array.from(packages).sort() };
}

describe('finial/client', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const entries = Object.entries(manifest.exports).filter(([, target]) => typeof target === 'object');

  it('is exported with its types', () => {
    expect(entries.map(([name]) => name)).toEqual(expect.arrayContaining(['./client', './spiffe']));
    for (const [, { types, default: script }] of entries) {
      expect(script.replace(/\.js$/, '.d.ts')).toBe(types);
      const source = script.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts');
      expect(readFileSync(path.join(root, source), 'utf8').length).toBeGreaterThan(0);
    }
  });

  it.each(entries)('%s loads nothing of server, agent or plugins, and no native code', (_name, { default: script }) => {
    const { files, packages } = closureOf(script.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts'));
    const foreign = files.filter(
      (file) => !/^(client|spiffe|proto|common\/(rpc|net\/presented-chain|[a-z-]+\.ts))/.test(file),
    );
    expect(foreign).toEqual([]);
    const named = packages.filter((name) => !name.startsWith('node:'));
    // undici comes into play only for programs that have it.
    expect(named.filter((name) => !/^(@grpc\/grpc-js|@grpc\/proto-loader|jose(\/.*)?|undici)$/.test(name))).toEqual([]);
  });
});
