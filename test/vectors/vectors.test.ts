import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Runner, Vector } from './vector.ts';

/** How many rows each kind has; none may be missing. The runner of a kind is the module of its name. */
const KINDS = {
  'spiffe-id': { prefix: 'V-ID', rows: 79 },
  'trust-domain': { prefix: 'V-TD', rows: 27 },
  'x509-svid': { prefix: 'V-X', rows: 67 },
  'jwt-svid': { prefix: 'V-J', rows: 58 },
  'wit-svid': { prefix: 'V-W', rows: 47 },
  bundle: { prefix: 'V-B', rows: 50 },
  'bundle-map': { prefix: 'V-M', rows: 10 },
  endpoint: { prefix: 'V-E', rows: 30 },
} as const;

for (const [kind, { prefix, rows }] of Object.entries(KINDS)) {
  const file = path.join(import.meta.dirname, `${kind}.json`);
  const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: readonly Vector[] };
  const { run } = (await import(`./run/${kind}.ts`)) as { run: Runner };

  describe(`vectors: ${kind}`, () => {
    it(`has all ${rows} rows`, () => {
      const numbers = new Set(vectors.map(({ id }) => /^(V-[A-Z]+-\d\d)[a-z0-9]*$/.exec(id)?.[1] ?? `malformed ${id}`));
      const wanted = Array.from({ length: rows }, (_none, index) => `${prefix}-${String(index + 1).padStart(2, '0')}`);
      expect(Array.from(numbers).sort()).toEqual(wanted);
      expect(new Set(vectors.map(({ id }) => id)).size).toBe(vectors.length);
    });

    const named = vectors.map((vector) => [`${vector.id} ${vector.verdict}: ${vector.what}`, vector] as const);
    it.each(named)('%s', async (_title, vector) => {
      const judge = async (): Promise<unknown> => run(vector.input as never, vector);
      if (vector.verdict === 'no') {
        expect(vector.error, 'a refusal must say which message is expected').toBeTruthy();
        await expect(judge()).rejects.toThrow(vector.error);
      } else if (typeof vector.expect === 'object' && vector.expect !== null) {
        expect(await judge()).toMatchObject(vector.expect);
      } else {
        const outcome = await judge();
        if (vector.expect !== undefined) expect(outcome).toEqual(vector.expect);
      }
    });
  });
}
