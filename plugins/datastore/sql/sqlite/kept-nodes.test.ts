import { describe, expect, it } from 'vitest';
import type { LogFields, Logger } from '../../../../common/log/logger.ts';
import { silentLogger } from '../../../../common/log/logger.ts';
import { sqliteTests } from '../../../../test/support/sqlite.ts';
import { spiffeId } from '../../../../spiffe/id.ts';
import { parseTrustDomain } from '../../../../spiffe/trust-domain.ts';

const id = spiffeId(parseTrustDomain('td.example'), '/spire/agent/a');
const node = {
  id,
  attestationType: 'join_token',
  serialNumber: '1',
  expiresAt: 2_000_000_000,
  canReattest: false,
  selectors: [{ type: 'a', value: 'b' }],
};

describe('a node that is asked for again and again', () => {
  const { path, open, raw } = sqliteTests();

  /** A store, and how many statements it has run so far. */
  async function counted() {
    const file = path();
    let statements = 0;
    const log: Logger = {
      ...silentLogger,
      debug: (_: string, fields: LogFields = {}) => {
        if ('sql' in fields) statements += 1;
      },
    };
    const store = await open(file, { logSql: true, log });
    await store.nodes.attested(node);
    return { file, store, statements: () => statements };
  }

  it('is read once as long as nothing changes', async () => {
    const { store, statements } = await counted();
    const first = await store.nodes.get(id);
    const before = statements();
    for (let n = 0; n < 10; n += 1) expect(await store.nodes.get(id)).toEqual(first);
    expect(statements()).toBe(before);
    expect(first).toMatchObject({ serialNumber: '1', selectors: node.selectors });
  });

  it('is read anew after a change of this process, and after its deletion', async () => {
    const { store } = await counted();
    await store.nodes.get(id);
    await store.nodes.update(id, { serialNumber: '' });
    expect(await store.nodes.get(id)).toMatchObject({ serialNumber: '' });
    await store.nodes.delete(id);
    expect(await store.nodes.get(id)).toBeUndefined();
    await store.nodes.attested({ ...node, serialNumber: '7' });
    expect(await store.nodes.get(id)).toMatchObject({ serialNumber: '7' });
  });

  it('is read anew after a change of another process', async () => {
    const { file, store } = await counted();
    await store.nodes.get(id);
    raw(file).exec("UPDATE attested_node_entries SET serial_number = 'banned elsewhere'");
    expect(await store.nodes.get(id)).toMatchObject({ serialNumber: 'banned elsewhere' });
  });

  it('is never older than the last change, however reads and changes overlap', async () => {
    const { store } = await counted();
    for (let n = 0; n < 50; n += 1) {
      const reads = Array.from({ length: 5 }, () => store.nodes.get(id));
      await store.nodes.update(id, { serialNumber: `${n}` });
      const [after] = await Promise.all([store.nodes.get(id), ...reads]);
      expect(after).toMatchObject({ serialNumber: `${n}` });
      expect(await store.nodes.get(id)).toMatchObject({ serialNumber: `${n}` });
    }
  });
});
