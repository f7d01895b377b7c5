import { describe, expect, it } from 'vitest';
import type { NodeFilter, SetMatch } from '../contract.ts';
import { agentId, attested, id, newEntry, type OpenTestDatabase, opener, selectors } from './samples.ts';

/** Attested nodes. */
export function describeNodes(open: OpenTestDatabase): void {
  const start = opener(open);
  const fresh = { newSerialNumber: '', newExpiresAt: 0, agentVersion: '' };

  describe('nodes', () => {
    it('keeps an attested node with its selectors', async () => {
      const { store, another } = await start();
      await store.nodes.attested(attested());
      expect(await store.nodes.get(agentId)).toEqual({ ...attested(), ...fresh });
      expect(await (await another()).nodes.get(agentId)).toEqual({ ...attested(), ...fresh });
      expect(await store.nodes.get(id('/spire/agent/x509pop/nobody'))).toBeUndefined();
    });

    it('attests again: new serial, no pending one, other selectors, the old type and version', async () => {
      const { store } = await start();
      await store.nodes.attested(attested());
      await store.nodes.update(agentId, {
        newSerialNumber: '1002',
        newExpiresAt: 1_800_000_100,
        agentVersion: '1.15.3',
      });
      const again = attested({
        attestationType: 'other',
        serialNumber: '1003',
        expiresAt: 1_900_000_000,
        canReattest: false,
        selectors: selectors('x509pop:ca:a', 'x509pop:new:c', 'x509pop:new:c'),
      });
      await store.nodes.attested(again);
      expect(await store.nodes.get(agentId)).toEqual({
        ...again,
        ...fresh,
        attestationType: 'x509pop',
        agentVersion: '1.15.3',
        selectors: selectors('x509pop:ca:a', 'x509pop:new:c'),
      });
      expect(await store.nodes.count()).toBe(1);
    });

    it('updates the given columns only', async () => {
      const { store } = await start();
      await store.nodes.attested(attested());
      const pending = await store.nodes.update(agentId, { newSerialNumber: '7', newExpiresAt: 1_800_000_001 });
      expect(pending).toEqual({ ...attested(), ...fresh, newSerialNumber: '7', newExpiresAt: 1_800_000_001 });
      await store.nodes.update(agentId, { serialNumber: '7', expiresAt: 5, newSerialNumber: '', newExpiresAt: 0 });
      await store.nodes.update(agentId, { canReattest: false });
      const changed = { ...attested(), ...fresh, serialNumber: '7', expiresAt: 5, canReattest: false };
      expect(await store.nodes.get(agentId)).toEqual(changed);
      expect(await store.nodes.update(agentId, {})).toEqual(changed);
      await expect(store.nodes.update(id('/spire/agent/no/one'), { agentVersion: 'x' })).rejects.toMatchObject({
        code: 'not-found',
        message: 'datastore-sql: record not found',
      });
    });

    it('deletes a node so that it can attest anew, and only once', async () => {
      const { store } = await start();
      await store.nodes.attested(attested());
      expect(await store.nodes.delete(agentId)).toEqual({ ...attested(), ...fresh });
      expect(await store.nodes.get(agentId)).toBeUndefined();
      await expect(store.nodes.delete(agentId)).rejects.toMatchObject({ code: 'not-found' });
      await store.nodes.attested(attested({ attestationType: 'other', selectors: [] }));
      expect(await store.nodes.get(agentId)).toMatchObject({ attestationType: 'other', selectors: [] });
    });

    it('deletes the alias entry of a join-token node, known by its shape, and nothing else', async () => {
      const { store } = await start();
      const nodeId = id('/spire/agent/join_token/abc');
      const alias = { parentId: nodeId, selectors: selectors(`spiffe_id:${nodeId}`) };
      await store.entries.create(newEntry({ id: 'alias', ...alias }));
      await store.entries.create(newEntry({ id: 'workload', parentId: nodeId, spiffeId: id('/w') }));
      const more = selectors(`spiffe_id:${nodeId}`, 'unix:uid:1');
      await store.entries.create(newEntry({ id: 'more', parentId: nodeId, spiffeId: id('/m'), selectors: more }));
      await store.entries.create(newEntry({ id: 'parent', ...alias, parentId: agentId }));
      await store.nodes.attested(attested({ id: nodeId, attestationType: 'join_token', selectors: [] }));
      const heard: string[] = [];
      store.entries.onChange((ids) => heard.push(...ids));
      await store.nodes.delete(nodeId);
      expect((await store.entries.list({})).entries.map((entry) => entry.id)).toEqual(['workload', 'more', 'parent']);
      expect(heard).toEqual(['alias']);
      expect((await store.entries.events(0)).at(-1)?.key).toBe('alias');
    });

    it('leaves alias-shaped entries of other nodes alone', async () => {
      const { store } = await start();
      const own = selectors(`spiffe_id:${agentId}`);
      await store.entries.create(newEntry({ id: 'alias', parentId: agentId, selectors: own }));
      await store.nodes.attested(attested());
      await store.nodes.delete(agentId);
      expect(await store.entries.count()).toBe(1);
    });

    it('writes an event with each change and tells listeners after the commit', async () => {
      const { store } = await start();
      const heard: (readonly string[])[] = [];
      const stop = store.nodes.onChange((ids) => heard.push(ids));
      const other = id('/spire/agent/x509pop/two');
      await store.nodes.attested(attested());
      await store.nodes.attested(attested({ id: other }));
      await store.nodes.update(agentId, { agentVersion: 'x' });
      await store.nodes.delete(other);
      await expect(store.nodes.delete(other)).rejects.toThrow('record not found');
      stop();
      await store.nodes.delete(agentId);
      expect(heard).toEqual([[agentId], [other], [agentId], [other]]);
      const events = await store.nodes.events(0);
      expect(events.map((event) => event.key)).toEqual([agentId, other, agentId, other, agentId]);
      expect(await store.nodes.events(events[3]?.eventId ?? 0)).toEqual(events.slice(4));
    });
  });

  describe('node listing', () => {
    const three = async () => {
      const { store } = await start();
      const node = (name: string) => id(`/spire/agent/x/${name}`);
      await store.nodes.attested(attested({ id: node('a'), expiresAt: 100, selectors: selectors('t:1') }));
      await store.nodes.attested(
        attested({ id: node('b'), expiresAt: 200, canReattest: false, selectors: selectors('t:1', 't:2') }),
      );
      await store.nodes.attested(attested({ id: node('c'), expiresAt: 300, attestationType: 'other', selectors: [] }));
      await store.nodes.update(node('c'), { serialNumber: '' });
      const listed = async (filter: NodeFilter): Promise<string[]> => {
        const { nodes } = await store.nodes.list({ filter, withSelectors: false });
        expect(await store.nodes.count(filter)).toBe(nodes.length);
        expect(nodes.every((one) => one.selectors.length === 0)).toBe(true);
        return nodes.map((one) => one.id.slice(-1));
      };
      return { store, listed };
    };

    it('filters by type, ban, reattestation and expiry', async () => {
      const { listed } = await three();
      expect(await listed({})).toEqual(['a', 'b', 'c']);
      expect(await listed({ attestationType: 'x509pop' })).toEqual(['a', 'b']);
      expect(await listed({ banned: true })).toEqual(['c']);
      expect(await listed({ banned: false })).toEqual(['a', 'b']);
      expect(await listed({ canReattest: true })).toEqual(['a', 'c']);
      expect(await listed({ canReattest: false })).toEqual(['b']);
      expect(await listed({ expiresBefore: 200 })).toEqual(['a']);
      expect(await listed({ expiresBefore: 201 })).toEqual(['a', 'b']);
      expect(await listed({ expiresBefore: 301, canReattest: true, banned: false })).toEqual(['a']);
    });

    it('filters by how sets of selectors relate; a node without selectors never matches', async () => {
      const { listed } = await three();
      const by = (match: SetMatch, ...texts: string[]): Promise<string[]> =>
        listed({ selectors: { match, selectors: selectors(...texts) } });
      expect(await by('exact', 't:1')).toEqual(['a']);
      expect(await by('subset', 't:1', 't:2', 't:3')).toEqual(['a', 'b']);
      expect(await by('superset', 't:1')).toEqual(['a', 'b']);
      expect(await by('any', 't:2', 't:3')).toEqual(['b']);
      await expect(by('any')).rejects.toMatchObject({ code: 'invalid-argument' });
    });

    it('joins selectors when asked and walks pages', async () => {
      const { store } = await three();
      const first = await store.nodes.list({ page: { size: 2, token: '' }, withSelectors: true });
      expect(first.nodes.map((one) => one.selectors)).toEqual([selectors('t:1'), selectors('t:1', 't:2')]);
      const second = await store.nodes.list({ page: { size: 2, token: first.nextToken }, withSelectors: true });
      expect(second.nodes.map((one) => one.id.slice(-1))).toEqual(['c']);
      const third = await store.nodes.list({ page: { size: 2, token: second.nextToken }, withSelectors: true });
      expect(third).toEqual({ nodes: [], nextToken: '' });
      await expect(store.nodes.list({ page: { size: 2, token: 'x' }, withSelectors: false })).rejects.toMatchObject({
        code: 'invalid-argument',
        message: "could not parse token 'x'",
      });
    });
  });
}
