import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../../test/support/scratch.ts';
import { loadConfigFile } from './load.ts';

const options = { expandEnv: false, env: { TD: 'x.org' } };

describe('loadConfigFile', () => {
  const folder = scratchFolder();
  const write = (name: string, content: string | Buffer): string => {
    const file = path.join(folder, name);
    writeFileSync(file, content);
    return file;
  };

  it('expands variables only when asked to', () => {
    const file = write('a.conf', 'td = "$TD"');
    const text = (expandEnv: boolean): string => {
      const value = loadConfigFile(file, { ...options, expandEnv }).items[0]?.value;
      return value?.kind === 'text' ? value.text : '';
    };
    expect([text(false), text(true)]).toEqual(['$TD', 'x.org']);
  });

  it('names the file that is missing by its absolute path', () => {
    const message = `could not find config file ${path.resolve('conf/none.conf')}: please use the -config flag`;
    expect(() => loadConfigFile('conf/none.conf', options)).toThrow(message);
  });

  it('says why it cannot read or decode a file', () => {
    expect(() => loadConfigFile(folder, options)).toThrow(`unable to read configuration at "${folder}": EISDIR`);
    const broken = write('b.conf', 'a = 1\nb = ?');
    expect(() => loadConfigFile(broken, options)).toThrow(
      `unable to decode configuration at "${broken}": ${broken}:2:5: unexpected character "?"`,
    );
    const latin = write('c.conf', Buffer.from([0x61, 0xe9]));
    expect(() => loadConfigFile(latin, options)).toThrow('it is not UTF-8 text');
  });

  it('ignores a byte order mark', () => {
    expect(loadConfigFile(write('d.conf', '\ufeffa = 1'), options).items).toHaveLength(1);
  });
});
