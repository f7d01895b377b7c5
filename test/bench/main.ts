import { appendFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FinialError, messageOf } from '../../common/errors.ts';
import { CHECKOUT } from '../support/checkout.ts';
import { ratioLine, ratioText } from './compare.ts';
import { type BenchOptions, readOptions, USAGE } from './options.ts';
import type { Measured, Row } from './row.ts';
import { rows } from './rows.ts';
import { resultLine, type ResultLine, tableHead, tableLine, warningsOf } from './table.ts';
import { leaveNothingBehind } from './target/leftovers.ts';
import type { TargetAddress } from './target/parse.ts';
import { reachTarget } from './target/reach.ts';
import { openSession, type Session } from './target/session.ts';

/** What a run came to. */
interface Outcome {
  failed: boolean;
  readonly warnings: string[];
}

/** Measures one row in every round on every target, in turn, and prints it. */
async function runRow(row: Row, sessions: readonly Session[], options: BenchOptions, outcome: Outcome): Promise<void> {
  const lines = new Map<Session, (ResultLine | undefined)[]>();
  for (let round = 0; round < options.rounds; round += 1) {
    for (const session of row.needs === 'nothing' ? sessions.slice(0, 1) : sessions) {
      const reason = session.cannot(row);
      if (reason !== undefined) {
        if (round === 0)
          print(
            options,
            skipped(row, session, reason),
            `${row.name.padEnd(34)}  skipped: ${reason}${options.targets.length > 1 ? `  [${session.bench.label}]` : ''}`,
          );
        continue;
      }
      const measured = await attempt(row, session);
      await session.afterRow('failure' in measured || Object.keys(measured.failures).length > 0);
      const line = report(row, session, measured, options, outcome);
      lines.set(session, [...(lines.get(session) ?? []), line]);
    }
  }
  const [first, second] = sessions;
  const [ours, theirs] = [first && lines.get(first), second && lines.get(second)];
  if (ours === undefined || theirs === undefined) return;
  const ratio = ratioLine(row.name, [first?.bench.label ?? '', ours], [second?.bench.label ?? '', theirs]);
  print(options, { ...ratio }, `  ${ratioText(ratio)}`);
}

/** The numbers of a row that was not measured, so that every line has the same keys. */
const NO_NUMBERS = {
  ops_per_s: null,
  ops_per_cpu_s: null,
  p50_ms: null,
  p99_ms: null,
  rss_mb: null,
  errors: 0,
} as const;

const skipped = ({ name }: Row, { bench: { label } }: Session, reason: string): object => ({
  ...{ name, target: label, ...NO_NUMBERS, skipped: reason },
});

/** Prints what came of a row; @returns its line when there are numbers in it */
function report(
  { name }: Row,
  { bench: { label } }: Session,
  measured: Measured | { readonly failure: string },
  options: BenchOptions,
  outcome: Outcome,
): ResultLine | undefined {
  const mark = options.targets.length > 1 ? `  [${label}]` : '';
  if ('failure' in measured) {
    outcome.failed = true;
    const nothing = { ...NO_NUMBERS, ops_per_s: 0, ops: 0, errors: 1, failure: measured.failure };
    const line = { name, target: label, node: process.version, ...nothing };
    print(options, line, `${name.padEnd(34)}  could not be measured (1 error): ${measured.failure}${mark}`);
    return undefined;
  }
  const line = resultLine(name, label, measured);
  print(options, line, tableLine(line, measured.extra) + mark);
  outcome.warnings.push(...warningsOf(options.targets.length > 1 ? `${name} [${label}]` : name, measured));
  if (line.errors > 0 || measured.ops === 0) outcome.failed = true;
  return line;
}

async function attempt(row: Row, { bench }: Session): Promise<Measured | { readonly failure: string }> {
  try {
    return await row.run(bench);
  } catch (error) {
    return { failure: messageOf(error) };
  }
}

function print({ json }: BenchOptions, line: object, text: string): void {
  console.log(text);
  if (json !== '') appendFileSync(json, `${JSON.stringify(line)}\n`);
}

/** Sees early whether the file can be written; 'w' empties it. @throws FinialError `invalid-argument` */
function openJson({ json }: BenchOptions, flag: 'a' | 'w'): void {
  try {
    if (json !== '') writeFileSync(json, '', { flag });
  } catch (error) {
    throw new FinialError('invalid-argument', `-json: ${messageOf(error)}`, { cause: error });
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(
    argv,
    rows.map(({ name }) => name),
    path.join(CHECKOUT, 'bin'),
  );
  if (options === 'help') {
    console.log(USAGE);
    return 0;
  }
  if (options.list) {
    for (const { name, what } of rows) console.log(`${name.padEnd(34)}  ${what}`);
    return 0;
  }
  openJson(options, 'a');
  const outcome: Outcome = { failed: false, warnings: [] };
  const targets: TargetAddress[] = [];
  for (const target of options.targets) targets.push(await reachTarget(target));
  // Not before: a wrong address must not cost the results of an earlier run.
  openJson(options, 'w');
  const sessions = targets.map((target) => openSession(target, options));
  console.log(tableHead());
  try {
    for (const row of rows) if (options.wants(row.name)) await runRow(row, sessions, options, outcome);
  } finally {
    for (const session of sessions) await session[Symbol.asyncDispose]();
  }
  for (const warning of outcome.warnings) console.log(warning);
  return outcome.failed ? 1 : 0;
}

// Set by npm, which does not hand on the signal that ends it.
leaveNothingBehind(process.env['npm_lifecycle_event'] === 'bench' ? process.ppid : undefined);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 2;
}
