import { describe, expect, it } from 'vitest';
import { parseSqliteLocation } from './location.ts';

describe('parseSqliteLocation', () => {
  it.each([
    ['data.db', 'data.db'],
    ['./data/datastore.sqlite3', './data/datastore.sqlite3'],
    ['/run/spire/data.db', '/run/spire/data.db'],
    ['file:data.db', 'data.db'],
    ['FILE:./data.db', './data.db'],
    ['file:/run/data.db', '/run/data.db'],
    ['file:///run/data.db', '/run/data.db'],
    ['file://localhost/run/data.db', '/run/data.db'],
    ['file:my%20data.db', 'my data.db'],
    ['data.db?_foreign_keys=off&_journal_mode=delete&cache=shared', 'data.db'],
    ['data.db#part', 'data.db'],
    [':memory:', ':memory:'],
    ['file::memory:?cache=shared', ':memory:'],
    ['file:any?mode=memory&cache=shared', ':memory:'],
  ])('reads %s', (text, path) => {
    expect(parseSqliteLocation(text)).toEqual({ path, ignored: [], mustExist: false });
  });

  it('reads mode=rw and names parameters that it does not know', () => {
    expect(parseSqliteLocation('file:data.db?mode=rw&vfs=unix-dotfile&vfs=x&_txlock=y')).toEqual({
      path: 'data.db',
      ignored: ['vfs', '_txlock'],
      mustExist: true,
    });
  });

  it.each([
    ['mysql://host/data', 'unsupported scheme "mysql"'],
    ['file://elsewhere/run/data.db', '"elsewhere"'],
    ['file:data.db?mode=ro', 'read-only'],
    ['file:data.db?mode=odd', '"odd"'],
    ['file:', 'names no file'],
    ['file://localhost', 'names no file'],
    ['?mode=rw', 'names no file'],
    ['data%zz.db', 'percent-encoded'],
  ])('refuses %s', (text, problem) => {
    expect(() => parseSqliteLocation(text)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(problem) }),
    );
  });
});
