import { describe, expect, it } from 'vitest';
import { agentId, attested, newEntry } from '../conformance/samples.ts';
import { createStatements } from './schema.ts';
import { schemaOf, sqliteTests } from '../../../../test/support/sqlite.ts';

describe('migration of SQLite databases', () => {
  const { path, open, raw } = sqliteTests();

  /** A database as servers of an older schema left it behind, with an entry and a node. */
  const old = (version: number, code: string): string => {
    const file = path();
    const connection = raw(file);
    for (const statement of createStatements()) connection.exec(statement);
    if (version < 25) connection.exec('ALTER TABLE registered_entries DROP COLUMN additional_attributes');
    if (version < 24) connection.exec('ALTER TABLE attested_node_entries DROP COLUMN agent_version');
    const time = '2025-01-01 00:00:00+00:00';
    connection.exec(`
      INSERT INTO migrations (created_at, updated_at, version, code_version) VALUES ('${time}', '${time}', ${version}, '${code}');
      INSERT INTO registered_entries (created_at, entry_id, spiffe_id, parent_id)
        VALUES ('${time}', 'old', 'spiffe://example.org/workload', '${agentId}');
      INSERT INTO selectors (registered_entry_id, type, value) VALUES (1, 'unix', 'uid:1000');
      INSERT INTO attested_node_entries (spiffe_id, data_type, serial_number, expires_at)
        VALUES ('${agentId}', 'x509pop', '1', '${time}');
    `);
    connection.close();
    return file;
  };
  const versionOf = (file: string): unknown =>
    raw(file).prepare('SELECT version, code_version, created_at, updated_at FROM migrations').all();

  it.each([
    [23, '1.13.0'],
    [24, '1.14.2'],
  ])('brings schema %i up to date and keeps its rows', async (version, code) => {
    const file = old(version, code);
    const store = await open(file);
    const fresh = path();
    await open(fresh);
    expect(schemaOf(raw(file)).columns).toEqual(schemaOf(raw(fresh)).columns);
    expect(versionOf(file)).toEqual([
      {
        version: 25,
        code_version: '1.15.3',
        created_at: '2025-01-01 00:00:00+00:00',
        updated_at: '2026-11-23 03:16:05.6+00:00',
      },
    ]);
    expect(await store.entries.get('old')).toMatchObject({ selectors: [{ type: 'unix', value: 'uid:1000' }] });
    expect(await store.nodes.get(agentId)).toMatchObject({ agentVersion: '' });
    const attributes = { disableX509SvidPrefetch: false, jwtSvidIncludeJti: true };
    const updated = await store.entries.update({ id: 'old', additionalAttributes: attributes }, [
      'additionalAttributes',
    ]);
    expect(updated.additionalAttributes).toEqual(attributes);
    await store.nodes.attested(attested());
    expect((await store.nodes.update(agentId, { agentVersion: '1.15.3' })).agentVersion).toBe('1.15.3');
  });

  it.each([
    [22, '1.12.6', false],
    [26, '1.17.0', false],
    [24, '1.12.0', true],
  ])(
    'refuses schema %i of version %s (migration disabled: %s) and changes nothing',
    async (version, code, disableMigration) => {
      const file = old(version, code);
      const before = schemaOf(raw(file));
      await expect(open(file, { disableMigration })).rejects.toMatchObject({ code: 'failed-precondition' });
      expect(schemaOf(raw(file))).toEqual(before);
      expect(versionOf(file)).toMatchObject([{ version, code_version: code }]);
    },
  );

  it('uses a newer schema of the next minor version as it is', async () => {
    const file = old(26, '1.16.0');
    const store = await open(file);
    await store.entries.create(newEntry({ id: 'new', hint: 'x', spiffeId: agentId }));
    expect(versionOf(file)).toMatchObject([{ version: 26, code_version: '1.16.0' }]);
  });

  it('raises an older code version of the current schema, and leaves a newer one', async () => {
    const older = old(25, '1.15.0');
    await open(older, { disableMigration: true });
    expect(versionOf(older)).toMatchObject([{ version: 25, code_version: '1.15.3' }]);
    const newer = old(25, '1.15.9');
    await open(newer);
    expect(versionOf(newer)).toMatchObject([{ version: 25, code_version: '1.15.9' }]);
  });

  it('refuses a database with a table of ours and without a version', async () => {
    const file = path();
    raw(file).exec('CREATE TABLE bundles (id integer)');
    await expect(open(file)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('bundles'),
    });
  });

  it('creates the schema beside tables of others, and leaves no half of it when creation fails', async () => {
    const file = path();
    raw(file).exec('CREATE TABLE notes (text varchar(10))');
    await open(file);
    expect(Object.keys(schemaOf(raw(file)).columns)).toEqual(expect.arrayContaining(['notes', 'registered_entries']));
    const broken = path();
    raw(broken).exec('CREATE TABLE idx_dns_entry (text varchar(10))');
    await expect(open(broken)).rejects.toMatchObject({ code: 'internal' });
    expect(Object.keys(schemaOf(raw(broken)).columns)).toEqual(['idx_dns_entry']);
  });
});
