import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSpiffeId, pathOf, type SpiffeId } from '../../spiffe/id.ts';
import { authorizedEntries, SERVER_PATH } from '../../spiffe/registration/authorized.ts';
import type { Entry } from '../../spiffe/registration/entry.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { CompactEntries } from './compact-entries.ts';
import { type ConcernSource, concernedAgents, type IndexChange } from './concerned.ts';

const trustDomain = parseTrustDomain('example.org');
const idOf = (path: string): SpiffeId => parseSpiffeId(`spiffe://example.org${path}`);
const server = idOf(SERVER_PATH);
const agents = ['one', 'two', 'three'].map((name) => idOf(`/spire/agent/${name}`));
const selector = (value: number): Selector => ({ type: 'k', value: String(value) });
/** Each agent's node has the selector of its number, and all have selector 9. */
const agentSelectors = (agent: SpiffeId): readonly Selector[] => [selector(agents.indexOf(agent)), selector(9)];

function entry(id: string, parentId: SpiffeId, spiffeId: SpiffeId, selectors: readonly Selector[]): Entry {
  return {
    ...{ id, parentId, spiffeId, selectors, federatesWith: [], dnsNames: [], hint: '' },
    ...{ admin: false, downstream: false, storeSvid: false },
    ...{ x509SvidTtl: 0, jwtSvidTtl: 0, expiresAt: 0, revisionNumber: 0, createdAt: 1 },
  };
}

/** The index, and what happened to it since it was last asked. */
function world() {
  const held = new CompactEntries(trustDomain);
  const source: ConcernSource = {
    graph: held.graph,
    selectorsOf: (handle) => held.entryOf(handle).selectors,
    agentSelectors,
  };
  const changes: IndexChange[] = [];
  const note = ({ parentId, selectors }: Entry): void => {
    const isAlias = pathOf(parentId) === SERVER_PATH;
    changes.push(isAlias ? { kind: 'alias', selectors } : { kind: 'entry', parent: parentId });
  };
  const find = (id: string): Entry | undefined => {
    const handle = held.graph.handleOf(id);
    return handle === undefined ? undefined : held.entryOf(handle);
  };
  return {
    put: (next: Entry): void => {
      const old = find(next.id);
      held.put(next);
      for (const one of [old, next]) if (one !== undefined) note(one);
    },
    remove: (id: string): void => {
      const old = find(id);
      held.remove(id);
      if (old !== undefined) note(old);
    },
    concerned: (): ReadonlySet<SpiffeId> => concernedAgents(source, changes.splice(0), new Set(agents)),
    authorized: (agentId: SpiffeId): string => {
      const handles = authorizedEntries({ agentId, agentSelectors: agentSelectors(agentId), source: held.graph });
      return JSON.stringify(handles.map((handle) => held.entryOf(handle)).sort((a, b) => (a.id < b.id ? -1 : 1)));
    },
  };
}

const [one, two, three] = agents as [SpiffeId, SpiffeId, SpiffeId];

describe('whom a change concerns', () => {
  it('is the agent above the entry, over any number of steps, and nobody else', () => {
    const { concerned, put, remove } = world();
    put(entry('a', one, idOf('/a'), [selector(1)]));
    expect(concerned()).toEqual(new Set([one]));
    put(entry('b', idOf('/a'), idOf('/b'), [selector(1)]));
    put(entry('c', idOf('/b'), idOf('/c'), [selector(1)]));
    expect(concerned()).toEqual(new Set([one]));
    put(entry('lost', idOf('/nobody'), idOf('/lost'), [selector(1)]));
    expect(concerned()).toEqual(new Set());
    remove('b');
    expect(concerned()).toEqual(new Set([one]));
  });

  it('is every agent whose node an alias above it matches', () => {
    const { concerned, put } = world();
    put(entry('alias', server, idOf('/some'), [selector(1), selector(9)]));
    expect(concerned()).toEqual(new Set([two]));
    put(entry('all', server, idOf('/all'), [selector(9)]));
    concerned();
    put(entry('child', idOf('/all'), idOf('/child'), [selector(1)]));
    expect(concerned()).toEqual(new Set(agents));
    put(entry('narrow', idOf('/some'), idOf('/narrow'), [selector(1)]));
    expect(concerned()).toEqual(new Set([two]));
  });

  it('is both the agent that had the entry and the one that gets it', () => {
    const { concerned, put } = world();
    put(entry('a', one, idOf('/a'), [selector(1)]));
    concerned();
    put(entry('a', three, idOf('/a'), [selector(1)]));
    expect(concerned()).toEqual(new Set([one, three]));
  });

  it('leaves out nobody whose entries became others, whatever happens together', () => {
    const paths = ['/a', '/b', '/c', '/d'];
    const parent = fc.constantFrom(...agents, server, ...paths.map(idOf));
    const selectors = fc.subarray([selector(0), selector(1), selector(2), selector(9)]);
    const operation = fc.oneof(
      fc.record({
        id: fc.constantFrom('1', '2', '3', '4', '5', '6'),
        parent,
        path: fc.constantFrom(...paths),
        selectors,
      }),
      fc.constantFrom('1', '2', '3', '4', '5', '6'),
    );
    const batches = fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(batches, (all) => {
        const { authorized, concerned, put, remove } = world();
        for (const batch of all) {
          const before = agents.map(authorized);
          for (const one of batch) {
            if (typeof one === 'string') remove(one);
            else put(entry(one.id, one.parent, idOf(one.path), one.selectors));
          }
          const told = concerned();
          const missed = agents.filter((agent, index) => authorized(agent) !== before[index] && !told.has(agent));
          expect(missed).toEqual([]);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
