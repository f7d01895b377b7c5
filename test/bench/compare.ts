import { type ResultLine, rounded } from './table.ts';

/** How one target does against another in a row: ours divided by theirs. */
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
}

/** @param ours, theirs one line per round, in the same order: rounds were interleaved, so neighbours compare best */
export function ratioLine(ours: readonly ResultLine[], theirs: readonly ResultLine[]): RatioLine {
  const [first, other] = [ours[0], theirs[0]];
  const each = (pick: (line: ResultLine) => number | null): number[] =>
    ours
      .map((line, round) => {
        const [mine, yours] = [pick(line), theirs[round] === undefined ? null : pick(theirs[round])];
        return mine === null || yours === null || yours === 0 ? Number.NaN : mine / yours;
      })
      .filter((ratio) => Number.isFinite(ratio))
      .toSorted((a, b) => a - b);
  const ops = each((line) => line.ops_per_s);
  const cpu = each((line) => line.ops_per_cpu_s);
  return {
    name: first?.name ?? '',
    target: first?.target ?? '',
    against: other?.target ?? '',
    rounds: Math.min(ours.length, theirs.length),
    ...{ ratio: median(ops), ratio_min: at(ops, 0), ratio_max: at(ops, -1) },
    ...{ cpu_ratio: median(cpu), cpu_ratio_min: at(cpu, 0), cpu_ratio_max: at(cpu, -1) },
    p99_ratio: median(each((line) => line.p99_ms)),
  };
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
  return (
    `${name}: ${target} against ${against}, median of ${rounds}: ops/s ${spread(line.ratio, line.ratio_min, line.ratio_max)}, ` +
    `ops/cpu-s ${spread(line.cpu_ratio, line.cpu_ratio_min, line.cpu_ratio_max)}, p99 ${line.p99_ratio ?? '-'}x`
  );
}
