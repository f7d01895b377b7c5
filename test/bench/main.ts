import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../../common/errors.ts';
import { ratioLine, ratioText } from './compare.ts';
import { type BenchOptions, readOptions, USAGE } from './options.ts';
import type { Measured, Row } from './row.ts';
import { rows } from './rows.ts';
import { resultLine, type ResultLine, tableHead, tableLine, warningsOf } from './table.ts';
import { openSession, type Session } from './target/session.ts';

/** What a run came to. */
interface Outcome {
  failed: boolean;
  readonly warnings: string[];
}

/** Measures one row in every round on every target, in turn, and prints it. */
async function runRow(row: Row, sessions: readonly Session[], options: BenchOptions, outcome: Outcome): Promise<void> {
  const lines = new Map<Session, ResultLine[]>();
  for (let round = 0; round < options.rounds; round += 1) {
    for (const session of sessions) {
      const reason = session.cannot(row);
      if (reason !== undefined) {
        if (round === 0)
          print(
            options,
            { name: row.name, target: session.bench.label, skipped: reason },
            `${row.name.padEnd(34)}  skipped: ${reason}`,
          );
        continue;
      }
      const measured = await attempt(row, session, outcome);
      await session.afterRow();
      if (measured === undefined) continue;
      const line = resultLine(row.name, session.bench.label, measured);
      const label = sessions.length > 1 ? `  [${session.bench.label}]` : '';
      print(options, line, tableLine(line, measured.extra) + label);
      outcome.warnings.push(...warningsOf(row.name, measured));
      if (measured.wrong.length > 0 || measured.ops === 0) outcome.failed = true;
      lines.set(session, [...(lines.get(session) ?? []), line]);
    }
  }
  const [ours, theirs] = sessions.map((session) => lines.get(session));
  if (ours !== undefined && theirs !== undefined) {
    const ratio = ratioLine(ours, theirs);
    print(options, { ...ratio }, `  ${ratioText(ratio)}`);
  }
}

async function attempt(row: Row, { bench }: Session, outcome: Outcome): Promise<Measured | undefined> {
  try {
    return await row.run(bench);
  } catch (error) {
    outcome.failed = true;
    outcome.warnings.push(`${row.name} [${bench.label}]: could not be measured: ${messageOf(error)}`);
    return undefined;
  }
}

function print({ json }: BenchOptions, line: object, text: string): void {
  console.log(text);
  if (json !== '') appendFileSync(json, `${JSON.stringify(line)}\n`);
}

/** The checkout's own programs, for this file as source as well as compiled below `dist`. */
function ownBin(): string {
  let folder = import.meta.dirname;
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder);
  return path.join(folder, 'bin');
}

async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(
    argv,
    rows.map(({ name }) => name),
    ownBin(),
  );
  if (options === 'help') {
    console.log(USAGE);
    return 0;
  }
  if (options.list) {
    for (const { name, what } of rows) console.log(`${name.padEnd(34)}  ${what}`);
    return 0;
  }
  if (options.json !== '') writeFileSync(options.json, '');
  const outcome: Outcome = { failed: false, warnings: [] };
  const sessions = options.targets.map((target) => openSession(target, options));
  console.log(tableHead());
  try {
    for (const row of rows) if (options.wants(row.name)) await runRow(row, sessions, options, outcome);
  } finally {
    for (const session of sessions) await session[Symbol.asyncDispose]();
  }
  for (const warning of outcome.warnings) console.log(warning);
  return outcome.failed ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 2;
}
