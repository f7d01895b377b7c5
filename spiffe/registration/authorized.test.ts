import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isMemberOf, parseSpiffeId, type SpiffeId } from '../id.ts';
import { formatSelector, parseSelector, type Selector } from '../selector.ts';
import { parseTrustDomain } from '../trust-domain.ts';
import {
  aliasSelectorsOf,
  authorizedAmong,
  authorizedEntries,
  explainAuthorized,
  type ReasonStep,
  walkAuthorized,
} from './authorized.ts';
import { EntryGraph, type GraphEntry } from './graph.ts';

const td = parseTrustDomain('td.test');
const agentId = parseSpiffeId('spiffe://td.test/spire/agent/one');
const SERVER = 'spiffe://td.test/spire/server';

function entry(id: string, parent: string, identity: string, ...selectors: string[]): GraphEntry {
  const idOf = (text: string): SpiffeId => parseSpiffeId(text.startsWith('/') ? `spiffe://td.test${text}` : text);
  const required = (selectors.length === 0 ? ['unix:uid:0'] : selectors).map(parseSelector);
  return { id, parentId: idOf(parent), spiffeId: idOf(identity), selectors: required };
}

function graphOf(entries: readonly GraphEntry[]): EntryGraph<GraphEntry> {
  const graph = new EntryGraph<GraphEntry>(td);
  for (const one of entries) graph.put(one, one);
  return graph;
}

function authorized(graph: EntryGraph<GraphEntry>, agentSelectors: readonly Selector[] = []): string[] {
  return authorizedEntries({ agentId, agentSelectors, source: graph })
    .map((handle) => graph.valueOf(handle).id)
    .sort();
}

const ALIASES = [
  entry('alias-1', SERVER, '/cluster', 'x509pop:ca:1'),
  entry('alias-2', SERVER, '/zone', 'x509pop:ca:1', 'zone:a'),
  entry('on-agent', agentId, '/direct'),
  entry('on-cluster', '/cluster', '/clustered'),
  entry('on-zone', '/zone', '/zoned'),
  entry('below', '/clustered', '/nested'),
  entry('elsewhere', '/spire/agent/two', '/other'),
];
const ca = [parseSelector('x509pop:ca:1')];

describe('authorizedEntries', () => {
  it('gives what is parented on the agent, on its aliases and below, and no alias', () => {
    expect(authorized(graphOf(ALIASES))).toEqual(['on-agent']);
    expect(authorized(graphOf(ALIASES), ca)).toEqual(['below', 'on-agent', 'on-cluster']);
    expect(authorized(graphOf(ALIASES), [...ca, parseSelector('zone:a')])).toEqual([
      'below',
      'on-agent',
      'on-cluster',
      'on-zone',
    ]);
  });

  it('gives nothing to an agent that no entry names', () => {
    expect(authorized(graphOf([]), ca)).toEqual([]);
  });

  it('ends at loops and gives each entry once', () => {
    const loop = [
      entry('a', agentId, '/a'),
      entry('b', '/a', '/b'),
      entry('c', '/b', '/a'),
      entry('self', '/b', '/b'),
      entry('home', '/b', agentId),
    ];
    expect(authorized(graphOf(loop))).toEqual(['a', 'b', 'c', 'home', 'self']);
  });

  it('never takes an alias without selectors, nor the children of the server', () => {
    const odd = [
      { ...entry('empty', SERVER, '/everyone'), selectors: [] },
      entry('on-everyone', '/everyone', '/x'),
      entry('server-like', agentId, SERVER),
    ];
    expect(authorized(graphOf([...odd, ...ALIASES]), ca)).not.toContain('on-everyone');
    expect(authorized(graphOf([...odd, ...ALIASES]))).toEqual(['on-agent', 'server-like']);
  });

  it('leaves entries of other trust domains out, and drops the earlier version of one that moved there', () => {
    const graph = graphOf([entry('x', agentId, '/x')]);
    const foreign = entry('x', agentId, 'spiffe://other.test/x');
    expect(graph.put(foreign, foreign)).toBeUndefined();
    expect(graph.put(entry('y', 'spiffe://other.test/spire/agent/one', '/y'), foreign)).toBeUndefined();
    expect(authorized(graph)).toEqual([]);
    expect(graph.size).toBe(0);
  });

  it('survives a chain of 100,000', () => {
    const chain = [entry('e0', agentId, '/c0')];
    for (let i = 1; i < 100_000; i += 1) chain.push(entry(`e${i}`, `/c${i - 1}`, `/c${i}`));
    expect(authorized(graphOf(chain))).toHaveLength(100_000);
  });
});

describe('explainAuthorized', () => {
  function reasons(entries: readonly GraphEntry[], selectors: readonly Selector[]): Record<string, string> {
    const graph = graphOf(entries);
    const step = (one: ReasonStep<number>): string => {
      if (one.kind === 'agent') return 'agent';
      return `${one.kind} ${graph.valueOf(one.kind === 'alias' ? one.alias : one.parent).id}`;
    };
    const explained = explainAuthorized({ agentId, agentSelectors: selectors, source: graph });
    return Object.fromEntries(explained.map((one) => [graph.valueOf(one.entry).id, one.reason.map(step).join(' > ')]));
  }

  it('names the chain from the agent downwards', () => {
    expect(reasons(ALIASES, ca)).toEqual({
      'on-agent': 'agent',
      'on-cluster': 'alias alias-1',
      below: 'alias alias-1 > entry on-cluster',
    });
  });

  it('prefers the shortest way', () => {
    const twoWays = [entry('far', agentId, '/a'), entry('farther', '/a', '/cluster'), ...ALIASES];
    expect(reasons(twoWays, ca)['on-cluster']).toBe('alias alias-1');
    expect(reasons(twoWays, [])['on-cluster']).toBe('agent > entry far > entry farther');
  });
});

describe('authorizedAmong', () => {
  it('finds the wanted ones and stops there', () => {
    const graph = graphOf([...ALIASES, ...Array.from({ length: 50 }, (_, i) => entry(`n${i}`, '/nested', `/n${i}`))]);
    const wanted = new Set(['on-cluster', 'elsewhere'].map((id) => graph.handleOf(id) ?? -1));
    const query = { agentId, agentSelectors: ca, source: graph };
    expect([...authorizedAmong(query, wanted)].map((one) => graph.valueOf(one).id)).toEqual(['on-cluster']);
    expect(authorizedAmong(query, new Set())).toEqual(new Set());
    let visited = 0;
    walkAuthorized(query, () => {
      visited += 1;
      return visited < 2;
    });
    expect(visited).toBe(2);
  });
});

describe('aliasSelectorsOf', () => {
  it('takes the node at its word until its certificate expires', () => {
    expect(aliasSelectorsOf({ expiresAt: 100, selectors: ca }, 99)).toBe(ca);
    expect(aliasSelectorsOf({ expiresAt: 100, selectors: ca }, 100)).toEqual([]);
    expect(aliasSelectorsOf(undefined, 0)).toEqual([]);
  });
});

/** The rule said as simply as possible, over a list. */
function naive(entries: readonly GraphEntry[], selectors: readonly Selector[]): string[] {
  const own = entries.filter((one) => isMemberOf(one.spiffeId, td) && isMemberOf(one.parentId, td));
  const has = new Set(selectors.map(formatSelector));
  const isAlias = (one: GraphEntry): boolean => one.parentId === SERVER;
  const parents = new Set<string>([agentId]);
  for (const one of own) {
    if (!isAlias(one) || one.selectors.length === 0) continue;
    if (one.selectors.every((selector) => has.has(formatSelector(selector)))) parents.add(one.spiffeId);
  }
  for (let before = -1; before !== parents.size; ) {
    before = parents.size;
    for (const one of own) if (!isAlias(one) && parents.has(one.parentId)) parents.add(one.spiffeId);
  }
  return own
    .filter((one) => !isAlias(one) && parents.has(one.parentId))
    .map((one) => one.id)
    .sort();
}

describe('EntryGraph', () => {
  const ids = fc.constantFrom('/a', '/b', '/c', '/d', '/spire/agent/one', 'spiffe://other.test/a');
  const parents = fc.oneof({ weight: 3, arbitrary: ids }, { weight: 2, arbitrary: fc.constant(SERVER) });
  const some = fc.array(fc.constantFrom('n:1', 'n:2', 'n:3'), { maxLength: 3 });
  const step = fc.record({
    id: fc.integer({ min: 0, max: 9 }).map(String),
    remove: fc.boolean(),
    parent: parents,
    identity: ids,
    selectors: some,
    node: some,
  });

  it('agrees with the naive model, whatever was put, replaced and removed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const graph = new EntryGraph<GraphEntry>(td);
        const model = new Map<string, GraphEntry>();
        for (const { id, remove, parent, identity, selectors, node } of steps) {
          const next = { ...entry(id, parent, identity), selectors: selectors.map(parseSelector) };
          if (remove) {
            graph.remove(id);
            model.delete(id);
          } else {
            model.set(id, next);
            if (graph.put(next, next) === undefined) model.delete(id);
          }
          const nodeSelectors = node.map(parseSelector);
          expect(authorized(graph, nodeSelectors)).toEqual(naive([...model.values()], nodeSelectors));
          expect(graph.get(id)).toBe(model.get(id));
          expect(graph.size).toBe(model.size);
        }
        expect([...graph.entryIds()].sort()).toEqual([...model.keys()].sort());
      }),
      { numRuns: 300 },
    );
  });

  it('explains every entry by a chain that holds', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), some, (steps, node) => {
        const graph = graphOf(steps.map((one) => entry(one.id, one.parent, one.identity, ...one.selectors)));
        const presented = new Set<string>(node);
        for (const { entry: handle, reason } of explainAuthorized({
          agentId,
          agentSelectors: node.map(parseSelector),
          source: graph,
        })) {
          let parent: string = agentId;
          for (const one of reason) {
            if (one.kind === 'alias') {
              const alias = graph.valueOf(one.alias);
              expect(alias.selectors.every((selector) => presented.has(formatSelector(selector)))).toBe(true);
              parent = alias.spiffeId;
            } else if (one.kind === 'entry') {
              expect(graph.valueOf(one.parent).parentId).toBe(parent);
              parent = graph.valueOf(one.parent).spiffeId;
            }
          }
          expect(graph.valueOf(handle).parentId).toBe(parent);
        }
      }),
    );
  });

  it('keeps siblings apart when they go one after the other', () => {
    const graph = graphOf(['a', 'b', 'c', 'd'].map((id) => entry(id, agentId, `/${id}`)));
    for (const [gone, left] of [
      ['a', ['b', 'c', 'd']],
      ['d', ['b', 'c']],
      ['b', ['c']],
    ] as const) {
      graph.remove(gone);
      expect(authorized(graph)).toEqual(left);
    }
  });

  it('knows a handle only while its entry is there', () => {
    const graph = graphOf([entry('x', agentId, '/x')]);
    const handle = graph.handleOf('x') ?? -1;
    expect(graph.remove('x')).toBe(true);
    expect(graph.remove('x')).toBe(false);
    expect(() => graph.valueOf(handle)).toThrow(RangeError);
    expect(graph.keyOf(agentId)).toBeUndefined();
  });
});
