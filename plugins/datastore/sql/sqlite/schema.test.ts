import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { agentId, attested, bundleOf, friend, newEntry } from '../conformance/samples.ts';
import { type Schema, schemaOf, sqliteTests } from '../../../../test/support/sqlite.ts';

/** As a reference server of version 1.15.3 left it behind: `sqlite_master` and `PRAGMA table_info`. */
const reference = JSON.parse(readFileSync(new URL('reference-schema.json', import.meta.url), 'utf8')) as Schema;

describe('schema', () => {
  const { path, open, raw } = sqliteTests();

  it('is the one of the reference, to the letter', async () => {
    const file = path();
    await open(file);
    const connection = raw(file);
    expect(schemaOf(connection)).toEqual(reference);
    expect(
      connection.prepare('SELECT id, version, code_version, created_at, updated_at FROM migrations').all(),
    ).toEqual([
      {
        id: 1,
        version: 25,
        code_version: '1.15.3',
        created_at: '2026-11-23 03:16:05.6+00:00',
        updated_at: '2026-11-23 03:16:05.6+00:00',
      },
    ]);
  });

  it('holds rows of the form that the reference writes', async () => {
    const file = path();
    const store = await open(file);
    await store.bundles.set(bundleOf({ trustDomain: friend }));
    const expiresAt = 4_102_444_800;
    await store.entries.create(newEntry({ id: 'e', federatesWith: [friend], dnsNames: ['a'], admin: true, expiresAt }));
    await store.nodes.attested(attested({ expiresAt: 1_800_000_000 }));
    await store.joinTokens.create({ token: 't', expiresAt });

    const time = '2026-11-23 03:16:05.6+00:00';
    const stamps = { created_at: time, updated_at: time };
    const rows = (table: string): unknown[] => raw(file).prepare(`SELECT * FROM ${table}`).all();
    expect(rows('bundles')).toMatchObject([{ id: 1, ...stamps, trust_domain: 'spiffe://friend.test' }]);
    expect(rows('registered_entries')).toEqual([
      {
        id: 1,
        ...stamps,
        entry_id: 'e',
        spiffe_id: 'spiffe://example.org/workload',
        parent_id: agentId,
        ttl: 0,
        admin: 1,
        downstream: 0,
        expiry: expiresAt,
        revision_number: 0,
        store_svid: 0,
        hint: '',
        jwt_svid_ttl: 0,
        additional_attributes: null,
      },
    ]);
    const owned = { id: 1, ...stamps, registered_entry_id: 1 };
    expect(rows('selectors')).toEqual([{ ...owned, type: 'unix', value: 'uid:1000' }]);
    expect(rows('dns_names')).toEqual([{ ...owned, value: 'a' }]);
    expect(rows('federated_registration_entries')).toEqual([{ bundle_id: 1, registered_entry_id: 1 }]);
    expect(rows('registered_entries_events')).toEqual([{ id: 1, ...stamps, entry_id: 'e' }]);
    expect(rows('join_tokens')).toEqual([{ id: 1, ...stamps, token: 't', expiry: expiresAt }]);
    expect(rows('attested_node_entries')).toEqual([
      {
        id: 1,
        ...stamps,
        spiffe_id: agentId,
        data_type: 'x509pop',
        serial_number: '1001',
        expires_at: '2027-01-15 08:00:00+00:00',
        new_serial_number: '',
        new_expires_at: null,
        can_reattest: 1,
        agent_version: '',
      },
    ]);
    expect(rows('node_resolver_map_entries')).toMatchObject([
      { id: 1, ...stamps, spiffe_id: agentId, type: 'x509pop', value: 'ca:a' },
      { id: 2, type: 'x509pop', value: 'subject:b' },
    ]);
    expect(rows('attested_node_entries_events')).toEqual([{ id: 1, ...stamps, spiffe_id: agentId }]);
    const [{ kind }] = raw(file).prepare('SELECT typeof(expiry) AS kind FROM registered_entries').all() as [
      { kind: string },
    ];
    expect(kind).toBe('integer');
  });

  it('reads rows with the times of a reference server in another zone, and rows with nulls', async () => {
    const file = path();
    const store = await open(file);
    await store.entries.create(newEntry({ id: 'e' }));
    await store.nodes.attested(attested());
    const connection = raw(file);
    connection.exec(`
      UPDATE registered_entries SET created_at = '2026-11-23 05:16:05.996982779+02:00', hint = NULL, store_svid = NULL,
        jwt_svid_ttl = NULL, revision_number = NULL, additional_attributes = x'';
      UPDATE attested_node_entries SET expires_at = '2026-11-23 05:16:05+02:00', agent_version = NULL,
        new_serial_number = NULL;
    `);
    expect(await store.entries.get('e')).toEqual({
      ...newEntry({ id: 'e' }),
      revisionNumber: 0,
      createdAt: Date.UTC(2026, 10, 23, 3, 16, 6) / 1000,
    });
    const expiresAt = Date.UTC(2026, 10, 23, 3, 16, 5) / 1000;
    expect(await store.nodes.get(agentId)).toMatchObject({ expiresAt, agentVersion: '', newSerialNumber: '' });
    expect(await store.nodes.count({ expiresBefore: expiresAt })).toBe(0);
    expect(await store.nodes.count({ expiresBefore: expiresAt + 1 })).toBe(1);
  });

  it('leaves out rows without a valid SPIFFE ID and says so, without hiding the others', async () => {
    const file = path();
    const errors: unknown[] = [];
    const log = {
      error: (_: string, fields?: object) => errors.push(fields),
      warn() {},
      info() {},
      debug() {},
      trace() {},
    };
    const store = await open(file, {
      log: {
        ...log,
        with: () => ({
          ...log,
          with: () => {
            throw new Error('unused');
          },
        }),
      },
    });
    for (const id of ['a', 'b', 'c']) await store.entries.create(newEntry({ id, hint: id, downstream: id !== 'b' }));
    raw(file).exec(`INSERT INTO registered_entries (entry_id, spiffe_id, parent_id) VALUES ('bad', 'SPIFFE://x', '')`);
    expect((await store.entries.list({})).entries).toHaveLength(1);
    expect(errors).toEqual([expect.objectContaining({ entry_id: 'bad' })]);
    expect(await store.entries.get('bad')).toBeUndefined();
  });
});
