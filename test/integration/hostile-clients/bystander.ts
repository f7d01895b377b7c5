import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { CHECKOUT } from '../../support/checkout.ts';
import type { Target } from '../../support/raw-http2.ts';

/** A client that behaves, beside those that do not. */
export interface Bystander {
  /** Ends it and tells how it was served. */
  stop(): Promise<Served>;
}

/** How a client was served. */
export interface Served {
  readonly calls: number;
  /** What calls failed with. */
  readonly failures: readonly string[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const program = path.join(CHECKOUT, 'test/integration/hostile-clients/bystander.mjs');

/** Starts calling `method` with an empty request, one call after the other, and resolves when one was answered. */
export async function bystander(target: Target, method: string): Promise<Bystander> {
  const child = spawn(process.execPath, [program, JSON.stringify({ ...target, method })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  const first = once(child.stdout, 'data');
  child.stdout.on('data', (part) => {
    output += String(part);
  });
  const exited = once(child, 'close');
  await Promise.race([first, exited]);
  return {
    async stop() {
      child.stdin.end();
      await exited;
      const last = output.trimEnd().split('\n').at(-1) ?? '';
      const { samples, failures } = JSON.parse(last) as { samples: number[]; failures: string[] };
      return summary(samples, failures);
    },
  };
}

function summary(samples: readonly number[], failures: readonly string[]): Served {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return { calls: samples.length, failures, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
