import { expect, it } from 'vitest';
import { crashLoop } from '../soak/crash-loop.ts';
import { freePort } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';

/** Another one each time, printed, so that CI covers more than one order of events; a failure is repeated by it. */
const seed = Number(process.env['SOAK_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

it('loses and doubles nothing while server and agent are killed under load', async () => {
  const lines: string[] = [`seed ${seed}`];
  const result = await crashLoop({
    ...{ folder: scratchFolder(), port: await freePort(), seed, kills: true },
    // An authority of 24 s gets a successor after 12 s, which takes over after 20 s; on a slow machine later.
    ...{ milliseconds: 22_000, caTtl: 24, leastRotations: 1 },
    say: (line) => void lines.push(line),
  });
  if (result.findings.length > 0) console.log(lines.join('\n'));
  expect(result.findings).toEqual([]);
  expect(result.kills).toBeGreaterThan(0);
  expect(result.writes).toBeGreaterThan(0);
  expect(result.serials).toBeGreaterThan(0);
  expect(result.rotations.x509).toBeGreaterThan(0);
}, 240_000);
