import { describe, expect, it } from 'vitest';
import type { LogFields } from '../../common/log/logger.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { bidi, implement } from '../../common/rpc/service.ts';
import { entryService } from '../../common/rpc/services.ts';
import type { SyncAuthorizedEntriesRequest__Output } from '../../proto/gen/spire/api/server/entry/v1/SyncAuthorizedEntriesRequest.ts';
import type { SyncAuthorizedEntriesResponse } from '../../proto/gen/spire/api/server/entry/v1/SyncAuthorizedEntriesResponse.ts';
import type { Entry } from '../../proto/gen/spire/api/types/Entry.ts';
import { rpcPair } from '../../test/support/rpc-pair.ts';
import type { AgentEntry } from './contract.ts';
import { syncEntries } from './sync-entries.ts';

const wire = (id: string, revision = 0, createdAt = 7): Entry => ({
  id,
  spiffe_id: { trust_domain: 'example.org', path: `/${id}` },
  selectors: [{ type: 'unix', value: 'uid:1' }],
  revision_number: revision,
  created_at: createdAt,
});

interface Run {
  readonly entries: ReadonlyMap<string, AgentEntry>;
  readonly requests: readonly SyncAuthorizedEntriesRequest__Output[];
  readonly warnings: readonly LogFields[];
}

/** One dialogue with a server that answers the n-th request with the n-th list of responses. */
async function run(
  answers: readonly (readonly SyncAuthorizedEntriesResponse[])[],
  held: Run['entries'] = new Map(),
): Promise<Run> {
  const requests: SyncAuthorizedEntriesRequest__Output[] = [];
  const warnings: LogFields[] = [];
  const service = implement(entryService(), {
    SyncAuthorizedEntries: bidi(async function* (incoming) {
      for await (const request of incoming) {
        yield* answers[requests.length] ?? [];
        requests.push(request);
      }
    }),
  });
  const pair = await rpcPair([service]);
  try {
    const log = { ...silentLogger, warn: (_message: string, fields: LogFields = {}) => void warnings.push(fields) };
    const call = pair.channel.bidi(entryService(), 'SyncAuthorizedEntries', { timeoutMs: 5000 });
    return { entries: await syncEntries(call, held, log), requests, warnings };
  } finally {
    await pair.close();
  }
}

const heldFrom = async (...entries: Entry[]): Promise<Run['entries']> => (await run([[{ entries }]])).entries;

describe('syncEntries', () => {
  it('takes a small set whole and drops what is not in it', async () => {
    const held = await heldFrom(wire('a'), wire('gone'));
    const { entries, requests } = await run([[{ entries: [wire('a'), wire('b')] }]], held);
    expect([...entries.keys()]).toEqual(['a', 'b']);
    expect(entries.get('a')).toBe(held.get('a'));
    expect(requests.map(({ ids }) => ids)).toEqual([[]]);
    expect(requests[0]?.output_mask).toMatchObject({ revision_number: true, created_at: true, parent_id: false });
  });

  it('asks only for new and changed entries, sorted, a page at a time', async () => {
    const held = await heldFrom(wire('same'), wire('newer', 1), wire('again', 0, 7), wire('gone'));
    const revision = (id: string, revision_number = 0, created_at = 7) => ({ id, revision_number, created_at });
    const { entries, requests } = await run(
      [
        [
          { entry_revisions: [revision('same'), revision('z')], more: true },
          { entry_revisions: [revision('newer', 2), revision('again', 0, 8)] },
        ],
        [{ entries: [wire('again', 0, 8)], more: true }, { entries: [wire('newer', 2)] }],
        [{ entries: [wire('z')] }],
      ],
      held,
    );
    expect(requests.map(({ ids }) => ids)).toEqual([[], ['again', 'newer'], ['z']]);
    expect([...entries.keys()].sort()).toEqual(['again', 'newer', 'same', 'z']);
    expect(entries.get('same')).toBe(held.get('same'));
    expect(entries.get('newer')?.revisionNumber).toBe(2);
    expect(entries.get('again')?.createdAt).toBe(8);
  });

  it('goes by the revision alone when the server sends no creation times', async () => {
    const held = await heldFrom(wire('a', 4));
    const { requests } = await run([[{ entry_revisions: [{ id: 'a', revision_number: 4 }] }]], held);
    expect(requests).toHaveLength(1);
  });

  it.each([
    ['without ID', { ...wire('x'), id: '' }],
    ['without SPIFFE ID', { ...wire('x'), spiffe_id: null }],
    ['without selectors', { ...wire('x'), selectors: [] }],
    ['with a selector type that holds a colon', { ...wire('x'), selectors: [{ type: 's3:cret', value: 's3cret' }] }],
    ['with an empty selector value', { ...wire('x'), selectors: [{ type: 's3cret', value: '' }] }],
  ])('leaves out an entry %s with a warning that shows no selector', async (_what, broken) => {
    const { entries, warnings } = await run([[{ entries: [broken, wire('good')] }]]);
    expect([...entries.keys()]).toEqual(['good']);
    expect(warnings).toHaveLength(1);
    expect(JSON.stringify(warnings)).not.toMatch(/s3:?cret/);
  });
});
