import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../test/support/scratch.ts';
import { ownVersion } from './version.ts';

describe('ownVersion', () => {
  it('is the one of package.json', () => {
    const file = path.join(import.meta.dirname, '../package.json');
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    expect(ownVersion()).toBe(version);
  });

  it('passes over packages of other names, and says when there is none', () => {
    const root = scratchFolder();
    mkdirSync(path.join(root, 'dist/common'), { recursive: true });
    writeFileSync(path.join(root, 'package.json'), '{"name": "finial", "version": "9.8.7"}');
    writeFileSync(path.join(root, 'dist/package.json'), '{"type": "module"}');
    expect(ownVersion(path.join(root, 'dist/common/version.js'))).toBe('9.8.7');
    writeFileSync(path.join(root, 'package.json'), '{"name": "other", "version": "1.0.0"}');
    expect(() => ownVersion(path.join(root, 'dist/x.js'))).toThrow(/^no package\.json of finial above/);
  });
});
