import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entryService } from '../../../common/rpc/services.ts';
import type { SyncAuthorizedEntriesRequest } from '../../../proto/gen/spire/api/server/entry/v1/SyncAuthorizedEntriesRequest.ts';
import type { SyncAuthorizedEntriesResponse__Output as Response } from '../../../proto/gen/spire/api/server/entry/v1/SyncAuthorizedEntriesResponse.ts';
import { addNode, type Harness, id, newEntry, openHarness, remotePeer } from '../../../test/support/server-api.ts';

const service = entryService();
const agent = id('/spire/agent/test/one');

let harness: Harness;

beforeEach(async () => {
  harness = await openHarness();
  await addNode(harness.store, agent);
});

afterEach(() => harness.close());

const register = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i += 1) {
    await harness.store.entries.create({
      ...newEntry({ spiffeId: id(`/w/${i}`), hint: `h${i}` }),
      id: `e${String(i).padStart(4, '0')}`,
    });
  }
  await harness.clock.advance(0);
};

/** Sends each request when the answers to the one before are complete. */
async function sync(...requests: SyncAuthorizedEntriesRequest[]): Promise<Response[][]> {
  const call = (await harness.as(remotePeer(agent))).bidi(service, 'SyncAuthorizedEntries');
  const answers: Response[][] = [];
  let current: Response[] = [];
  const waiting = [...requests];
  const sendNext = async (): Promise<void> => {
    const next = waiting.shift();
    if (next === undefined) call.end();
    else await call.send(next);
  };
  await sendNext();
  for await (const response of call.responses) {
    current.push(response);
    if (response.more) continue;
    answers.push(current);
    current = [];
    await sendNext();
  }
  return answers;
}

describe('a sync', () => {
  it('of up to 500 entries sends them all at once, masked', async () => {
    await register(500);
    const [[response] = []] = await sync({ output_mask: { revision_number: true, hint: true } });
    expect(response).toMatchObject({ more: false, entry_revisions: [] });
    expect(response?.entries).toHaveLength(500);
    expect(response?.entries.find((entry) => entry.id === 'e0007')).toMatchObject({ hint: 'h7', spiffe_id: null });
  });

  it('of more sends revisions in pages, then what is asked for', async () => {
    await register(1001);
    await harness.store.entries.update({ id: 'e0003', hint: 'new' }, ['hint']);
    await harness.clock.advance(0);
    const many = Array.from({ length: 501 }, (_, i) => `e${String(i).padStart(4, '0')}`);
    const [revisions, some, page] = await sync(
      {},
      { ids: ['e0009', 'none', 'e0003', 'e0003'] },
      { ids: many.toReversed() },
    );
    expect(revisions?.map((one) => [one.entry_revisions.length, one.entries.length, one.more])).toEqual([
      [500, 0, true],
      [500, 0, true],
      [1, 0, false],
    ]);
    const three = revisions?.flatMap((one) => one.entry_revisions).find((one) => one.id === 'e0003');
    expect(three).toMatchObject({ revision_number: '1', created_at: String(harness.clock.now() / 1000) });
    expect(some?.flatMap((one) => one.entries.map((entry) => entry.id))).toEqual(['e0003', 'e0003', 'e0009']);
    expect(some?.[0]?.entries[0]).toMatchObject({ hint: 'new', spiffe_id: { path: '/w/3' } });
    expect(page?.map((one) => [one.entries.length, one.more])).toEqual([
      [500, true],
      [1, false],
    ]);
  });

  it('closes each answer, also an empty one', async () => {
    await register(501);
    expect((await sync({}, { ids: ['none'] }))[1]).toMatchObject([{ entries: [], more: false }]);
  });

  it('applies the first mask throughout', async () => {
    await register(501);
    const answers = await sync(
      { output_mask: { revision_number: true } },
      { ids: ['e0001'], output_mask: { hint: true } },
    );
    expect(answers[1]?.[0]?.entries[0]).toMatchObject({ hint: '' });
  });

  it.each([
    [{ ids: ['x'], output_mask: {} }, 'specifying IDs on initial request is not supported'],
    [{ output_mask: { hint: true } }, 'revision number cannot be masked'],
  ])('refuses to begin with %j', async (request, message) => {
    await expect(sync(request)).rejects.toMatchObject({ code: 'invalid-argument', message });
  });

  it('agrees with the unary call, byte by byte through another mask', async () => {
    await register(3);
    const channel = await harness.as(remotePeer(agent));
    const { entries } = await channel.call(service, 'GetAuthorizedEntries', {});
    const masked = await channel.call(service, 'GetAuthorizedEntries', { output_mask: { hint: true } });
    const again = await channel.call(service, 'GetAuthorizedEntries', {});
    expect((await sync({}))[0]?.[0]?.entries).toEqual(entries);
    expect(again.entries).toEqual(entries);
    expect(masked.entries.map(({ id, hint, spiffe_id }) => [id, hint, spiffe_id])).toEqual(
      entries.map(({ id, hint }) => [id, hint, null]),
    );
  });
});
