import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { readCorpus, writeCorpus } from './corpus.ts';
import { acceptCounters, Coverage, countedPlaces } from './counters.ts';
import { distilled } from './distil.ts';
import { runTarget } from './engine.ts';
import { checkGrowth } from './growth.ts';
import { newRandom } from './random.ts';
import type { Target } from './target.ts';
import { watched } from './watch.ts';
import type { Order, Report } from './report.ts';

acceptCounters();
// After the counters, which the counted sources ask for as they load.
const { TARGETS } = await import('./targets.ts');

const order = workerData as Order;
const watch = watched(order.shared);
const clock = (): number => performance.now();
const send = (report: Report): void => parentPort?.postMessage(report, []);

for (const name of order.names) {
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) throw new Error(`no target ${name}`);
  await fuzz(target);
}

/** Only for gathering a corpus: they are made of new keys, so no run with them can be repeated. */
async function seedsOf(name: string): Promise<readonly Buffer[]> {
  const { gatherSeeds } = await import('./seeds.ts');
  return (await gatherSeeds(path.resolve(order.corpus, '../../..')))[name] ?? [];
}

async function acceptedOf(target: Target, inputs: readonly Buffer[]): Promise<Buffer[]> {
  const outcomes = await Promise.all(inputs.map(async (input) => target.execute(input, false)));
  return inputs.filter((_input, index) => outcomes[index]?.includes('accepted'));
}

async function fuzz(target: Target): Promise<void> {
  for (const growth of target.growth ?? []) {
    try {
      watch.before(growth.of(growth.from));
      await checkGrowth(target, growth, clock);
    } catch (problem) {
      send({ finding: { target: target.name, input: growth.of(growth.from), problem: String(problem) } });
      return;
    }
  }
  const coverage = countedPlaces() > 0 ? new Coverage() : undefined;
  const seeds = order.keeps ? await seedsOf(target.name) : [];
  const corpus = [...readCorpus(order.corpus, target.name), ...seeds];
  const start = clock();
  const isOver = (): boolean => clock() - start >= order.millisecondsEach;
  const { executions, slowest, kept, finding } = await runTarget({
    target,
    corpus,
    random: newRandom(order.seed, target.name),
    coverage,
    isGuided: order.isGuided,
    before: watch.before,
    goesOn: () => !isOver(),
    clock,
  });
  if (finding !== undefined) {
    const { input, problem } = finding;
    send({ finding: { target: target.name, input, problem: problem.stack ?? problem.message } });
    return;
  }
  if (order.keeps)
    writeCorpus(
      order.corpus,
      target.name,
      await distilled(target, await acceptedOf(target, seeds), [...corpus, ...kept]),
    );
  const known = new Set(corpus.map((input) => input.toString('latin1')));
  const found = kept.filter((input) => !known.has(input.toString('latin1'))).length;
  send({
    summary: {
      target: target.name,
      executions,
      milliseconds: clock() - start,
      corpus: corpus.length,
      found,
      slowest,
      places: coverage?.places ?? 0,
    },
  });
}
