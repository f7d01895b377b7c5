import { type ResultLine, rounded } from './table.ts';

/**
 * How one target does against another in a row: numbers of the first divided by those of the second. Beside the ratios
 * stand the medians of both, those of the second with `against_` before their names.
 */
export interface RatioLine {
  readonly name: string;
  readonly target: string;
  readonly against: string;
  readonly rounds: number;
  readonly ratio: number | null;
  readonly ratio_min: number | null;
  readonly ratio_max: number | null;
  readonly cpu_ratio: number | null;
  readonly cpu_ratio_min: number | null;
  readonly cpu_ratio_max: number | null;
  readonly p99_ratio: number | null;
  readonly rss_ratio: number | null;
  /** Of all rounds; a round that could not be measured counts as one. */
  readonly errors: number;
  readonly against_errors: number;
  readonly [median: string]: number | string | null;
}

/** The lines of a target, one per round; undefined where a round could not be measured. */
export type Rounds = readonly [label: string, lines: readonly (ResultLine | undefined)[]];

type Key = 'ops_per_s' | 'ops_per_cpu_s' | 'p50_ms' | 'p99_ms' | 'rss_mb';
const NUMBERS: readonly Key[] = ['ops_per_s', 'ops_per_cpu_s', 'p50_ms', 'p99_ms', 'rss_mb'];

/** @param ours, theirs in the same order: rounds were interleaved, so neighbours compare best */
export function ratioLine(name: string, [target, ours]: Rounds, [against, theirs]: Rounds): RatioLine {
  const each = (key: Key): number[] =>
    ours
      .map((line, round) => (line?.[key] ?? Number.NaN) / (theirs[round]?.[key] ?? Number.NaN))
      .filter((ratio) => Number.isFinite(ratio))
      .toSorted((a, b) => a - b);
  const [ops, cpu] = [each('ops_per_s'), each('ops_per_cpu_s')];
  return {
    ...{ name, target, against, rounds: ops.length },
    ...{ ratio: median(ops), ratio_min: at(ops, 0), ratio_max: at(ops, -1) },
    ...{ cpu_ratio: median(cpu), cpu_ratio_min: at(cpu, 0), cpu_ratio_max: at(cpu, -1) },
    ...{ p99_ratio: median(each('p99_ms')), rss_ratio: median(each('rss_mb')) },
    ...{ errors: errorsOf(ours), against_errors: errorsOf(theirs) },
    ...Object.fromEntries(NUMBERS.map((key) => [key, medianOf(ours, key)])),
    ...Object.fromEntries(NUMBERS.map((key) => [`against_${key}`, medianOf(theirs, key)])),
  };
}

function errorsOf(lines: Rounds[1]): number {
  return lines.reduce((sum, line) => sum + (line?.errors ?? 1), 0);
}

function medianOf(lines: Rounds[1], key: Key): number | null {
  const found = lines.map((line) => line?.[key]).filter((value) => typeof value === 'number');
  return median(found.toSorted((a, b) => a - b));
}

function median(sorted: readonly number[]): number | null {
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.ceil((sorted.length - 1) / 2)]];
  return low === undefined || high === undefined ? null : rounded((low + high) / 2);
}

function at(sorted: readonly number[], index: number): number | null {
  const value = sorted.at(index);
  return value === undefined ? null : rounded(value);
}

/** As a line below the table. */
export function ratioText({ name, target, against, rounds, ...line }: RatioLine): string {
  const spread = (ratio: number | null, min: number | null, max: number | null): string =>
    ratio === null ? 'not measured' : `${ratio}x (${min} to ${max})`;
  const errors = line.errors + line.against_errors === 0 ? '' : `; ERRORS ${line.errors} and ${line.against_errors}`;
  return (
    `${name}: ${target} divided by ${against}, median of ${rounds}: ops/s ${spread(line.ratio, line.ratio_min, line.ratio_max)}, ` +
    `ops/cpu-s ${spread(line.cpu_ratio, line.cpu_ratio_min, line.cpu_ratio_max)}, p99 ${line.p99_ratio ?? '-'}x, ` +
    `memory ${line.rss_ratio ?? '-'}x${errors}`
  );
}
