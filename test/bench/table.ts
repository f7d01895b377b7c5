import { percentile } from './histogram.ts';
import type { Measured } from './row.ts';

/** The load thread may have been the limit when it ran or wanted to for more of the time than this. */
const BUSY_LIMIT = 0.8;

/** One measured row as it goes into the JSON file. */
export interface ResultLine {
  readonly name: string;
  readonly target: string;
  readonly node: string;
  readonly ops_per_s: number;
  readonly ops_per_cpu_s: number | null;
  /** Null, as the next two, where no call succeeded: 0 would look fast. */
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
  readonly max_ms: number | null;
  readonly rss_mb: number | null;
  readonly errors: number;
  readonly ops: number;
  readonly seconds: number;
  readonly stall_ms: number | null;
  readonly stalls: number | null;
  readonly load_cpu: number | null;
  readonly load_wait: number | null;
  readonly verified: number;
  readonly wrong: number;
  readonly [extra: string]: number | string | null;
}

/** What a row measured, as numbers of three or four digits. */
export function resultLine(name: string, target: string, measured: Measured): ResultLine {
  const { ops, seconds, latencies, cpuSeconds, failures, wrong } = measured;
  return {
    name,
    target,
    node: process.version,
    ops_per_s: ops === 0 ? 0 : rounded(ops / seconds),
    ops_per_cpu_s: cpuSeconds === undefined || cpuSeconds <= 0 ? null : rounded(ops / cpuSeconds),
    p50_ms: ops === 0 ? null : rounded(percentile(latencies, 0.5)),
    p99_ms: ops === 0 ? null : rounded(percentile(latencies, 0.99)),
    max_ms: ops === 0 ? null : rounded(latencies.maxMs),
    rss_mb: optional(measured.rssMb),
    errors: Object.values(failures).reduce((sum, count) => sum + count, 0) + wrong.length,
    ops,
    seconds: rounded(seconds),
    stall_ms: optional(measured.stallMs),
    stalls: optional(measured.stalls),
    load_cpu: optional(measured.busy),
    load_wait: optional(measured.starved),
    verified: measured.verified,
    wrong: wrong.length,
    ...Object.fromEntries(Object.entries(measured.extra ?? {}).map(([key, value]) => [key, rounded(value)])),
  };
}

/** Four significant digits. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function optional(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : rounded(value);
}

const COLUMNS = ['ops/s', 'ops/cpu-s', 'p50 ms', 'p99 ms', 'max ms', 'rss MB', 'stall ms', 'load', 'errors'] as const;
const NAME_WIDTH = 34;
const WIDTH = 10;

export function tableHead(): string {
  return 'row'.padEnd(NAME_WIDTH) + COLUMNS.map((column) => column.padStart(WIDTH)).join('');
}

/** One line of the table, with further numbers behind it. */
export function tableLine(line: ResultLine, extra: Measured['extra'] = {}): string {
  const cells = [
    ...[line.ops_per_s, line.ops_per_cpu_s, line.p50_ms, line.p99_ms, line.max_ms, line.rss_mb, line.stall_ms],
    ...[line.load_cpu, line.errors],
  ];
  const more = Object.entries(extra).map(([key, value]) => `  ${key}=${rounded(value)}`);
  return (
    line.name.padEnd(NAME_WIDTH) + cells.map((cell) => String(cell ?? '-').padStart(WIDTH)).join('') + more.join('')
  );
}

const percent = (share: number): string => `${Math.round(share * 100)}%`;

/** What a reader must know besides the numbers. */
export function warningsOf(
  name: string,
  { busy = 0, starved = 0, failures, wrong, ops, verified }: Measured,
): string[] {
  return [
    ...(busy + starved > BUSY_LIMIT
      ? [
          `${name}: the load thread ran ${percent(busy)} of the time and waited for a processor ${percent(starved)}; ops/s may be its limit, ops/cpu-s is not`,
        ]
      : []),
    ...Object.entries(failures).map(([kind, count]) => `${name}: ${count} times ${kind}`),
    ...[...new Set(wrong)].map((what) => `${name}: wrong answer: ${what}`),
    ...(ops === 0 ? [`${name}: not one operation succeeded`] : []),
    ...(ops > 0 && verified === 0 ? [`${name}: nothing was verified`] : []),
  ];
}
