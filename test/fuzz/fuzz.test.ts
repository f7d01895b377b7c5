import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as fc from 'fast-check';
import { parseAst } from 'vitest/node';
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { nameOf, readCorpus } from './corpus.ts';
import { acceptCounters, clearCounters, Coverage, REGISTER } from './counters.ts';
import { runTarget, type Summary } from './engine.ts';
import { checkGrowth } from './growth.ts';
import { instrument } from './instrument.ts';
import { mutateBytes } from './mutate/bytes.ts';
import { mutateDer } from './mutate/der.ts';
import { readTrees, writeTrees } from './mutate/der-tree.ts';
import { newRandom } from './random.ts';
import { must, opinion, type Target } from './target.ts';
import { TARGETS } from './targets.ts';

const folder = path.join(import.meta.dirname, 'corpus');
/** Enough to see that all of it works; finding something new is what `npm run fuzz` is for. */
const EXECUTIONS = 800;

function run(target: Target, corpus: readonly Buffer[], executions: number, seed = 1): Promise<Summary> {
  const goesOn = (done: number): boolean => done < corpus.length + executions;
  // A clock that stands still: what is slow here may be so because the machine is busy.
  return runTarget({ target, corpus, random: newRandom(seed, target.name), goesOn, clock: () => 0 });
}

describe('the parsers and verifiers', () => {
  it.each(TARGETS.map((target) => [target.name, target] as const))('%s holds its properties', async (name, target) => {
    const corpus = readCorpus(folder, name);
    expect(corpus.length).toBeGreaterThan(0);
    const { finding, executions } = await run(target, corpus, EXECUTIONS);
    if (finding !== undefined) throw new Error(`input ${finding.input.toString('base64')}`, { cause: finding.problem });
    expect(executions).toBe(corpus.length + EXECUTIONS);
  });
});

describe('the corpus', () => {
  it('has a folder for each target, files by their content, and stays small', () => {
    expect(readdirSync(folder).sort()).toEqual(TARGETS.map(({ name }) => name).sort());
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const contents = files.map(({ name, parentPath }) => [name, readFileSync(path.join(parentPath, name))] as const);
    for (const [name, content] of contents) expect(nameOf(content)).toBe(name);
    expect(contents.reduce((sum, [, { length }]) => sum + length, 0)).toBeLessThan(300_000);
  });
});

/** A parser that fails for what holds `bug`, and takes quadratic time for what holds `slow`. */
const broken: Target = {
  name: 'broken',
  maxLength: 64,
  mutate: (input, random, other) => (random.oneIn(3) ? Buffer.from('a bug in it') : mutateBytes(input, random, other)),
  execute(input) {
    must(!input.includes('bug'), 'no bug');
    return String(input.length);
  },
};

describe('the engine', () => {
  it('finds an input for which a property does not hold, and makes it small', async () => {
    const { finding } = await run(broken, [Buffer.from('all is well')], 1000);
    expect(finding).toMatchObject({ target: 'broken', input: Buffer.from('bug'), problem: { message: 'no bug' } });
  });

  it('takes any error but those that a target expects for a finding', async () => {
    const throwing: Target = { ...broken, execute: () => JSON.parse('{') as string };
    expect((await run(throwing, [Buffer.of()], 1)).finding?.problem).toBeInstanceOf(SyntaxError);
  });

  it('does the same again with the same seed, and something else with another', async () => {
    const inputsOf = async (seed: number): Promise<string> => {
      const seen: string[] = [];
      const execute = (input: Buffer): string => {
        seen.push(input.toString('hex'));
        return String(input.length % 7);
      };
      await run({ ...broken, mutate: mutateBytes, execute }, [Buffer.from('abcdefgh')], 300, seed);
      return seen.join();
    };
    expect(await inputsOf(7)).toBe(await inputsOf(7));
    expect(await inputsOf(7)).not.toBe(await inputsOf(8));
  });

  it('keeps what has a new outcome', async () => {
    const { kept } = await run(
      { ...broken, mutate: (input) => Buffer.concat([input, Buffer.of(1)]) },
      [Buffer.of()],
      9,
    );
    expect(kept.length).toBeGreaterThan(1);
    expect(new Set(kept.map(({ length }) => length)).size).toBe(kept.length);
  });

  it('says which input takes longer than it may', async () => {
    let time = 0;
    const slow: Target = {
      ...broken,
      execute: () => {
        time += 600;
        return '';
      },
    };
    const options = { target: slow, corpus: [Buffer.of(1)], random: newRandom(1), goesOn: () => false };
    const { finding } = await runTarget({ ...options, clock: () => time });
    expect(finding?.problem.message).toBe('takes 600 ms');
  });
});

describe('checkGrowth', () => {
  const grows = (power: number): Promise<void> => {
    let time = 0;
    const execute = (input: Buffer): string => {
      time += input.length ** power;
      return '';
    };
    const growth = { what: 'bytes', from: 50, of: (size: number) => Buffer.alloc(size) };
    return checkGrowth({ ...broken, execute }, growth, () => time);
  };

  it('lets linear time pass and refuses quadratic time', async () => {
    await expect(grows(1)).resolves.toBeUndefined();
    await expect(grows(2)).rejects.toThrow(/grows too fast with bytes: 2500.0 ms for 50, 40000.0 ms/);
  });
});

describe('instrument', () => {
  it('counts the branches that are taken, and changes nothing else', () => {
    acceptCounters();
    const source = `
      let log = '';
      function f(x) {
        if (x > 1) log += 'big'; else { log += 'small'; }
        switch (x) { case 1: const y = x; log += y; break; default: log += 'other'; }
        for (const one of [1, 2]) log += one;
        try { x.a.b; } catch { log += 'caught'; }
        return (x || 7) && [x ?? 1].map((one) => ({ one: one > 1 ? 'a' : 'b' }));
      }
      return [f(1), f(3), log];`;
    const program = `async function all() {${source}}`;
    const counted = instrument(program, parseAst(program) as unknown as Parameters<typeof instrument>[1]);
    expect(counted).toContain(`globalThis.${REGISTER}`);
    expect(counted.match(/__count\[\d+\]\+\+/g)?.length).toBe(14);
    expect(() => parseAst(counted)).not.toThrow();
    const without = counted.replace(/^.*\n/, '').replaceAll(/\{__count\[\d+\]\+\+;(.*?;)\}/g, '$1');
    expect(without.replaceAll(/__count\[\d+\]\+\+[;,]/g, '').replaceAll(/\s|[()]/g, '')).toBe(
      program.replaceAll(/\s|[()]/g, ''),
    );
  });

  it('tells new places and new counts from known ones', () => {
    acceptCounters();
    const register = (globalThis as unknown as Record<string, (size: number) => Uint8Array>)[REGISTER];
    const counts = register?.(3) ?? new Uint8Array();
    const coverage = new Coverage();
    const after = (...values: number[]): boolean => {
      clearCounters();
      counts.set(values);
      return coverage.learn();
    };
    expect([after(0, 0, 0), after(1, 0, 0), after(1, 0, 0), after(2, 0, 0), after(9, 0, 0)]).toEqual([
      ...[false, true, false, true, true],
    ]);
    expect([after(12, 0, 0), after(1, 1, 0), coverage.places]).toEqual([false, true, 2]);
  });
});

describe('the changes of DER', () => {
  const certificates = readCorpus(folder, 'certificate');

  it('take every certificate apart and write it again as it was', () => {
    const wellFormed = certificates.filter((der) => opinion(() => parseCertificate(der)) !== undefined);
    expect(wellFormed.length).toBeGreaterThan(5);
    for (const der of wellFormed) expect(writeTrees(readTrees(der) ?? [])).toEqual(der);
  });

  it('make something else of most of them, whatever the seed', () => {
    const [input = Buffer.of()] = certificates.filter(({ length }) => length > 200);
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = newRandom(seed);
        const changed = Array.from({ length: 20 }, () => mutateDer(input, random, () => input));
        expect(changed.filter((one) => !one.equals(input)).length).toBeGreaterThan(5);
      }),
      { numRuns: 50 },
    );
  });
});
