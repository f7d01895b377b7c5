import { afterAll, beforeAll, describe, it } from 'vitest';
import { scratchFolder } from '../../support/scratch.ts';
import { type Arena, openArena, rowOf } from './arena.ts';
import { callAttacks } from './calls.ts';
import { connectionAttacks } from './connections.ts';
import { floodAttacks } from './floods.ts';
import { malformedFrames } from './frames.ts';

const folder = scratchFolder();
let arena: Arena;
beforeAll(async () => {
  arena = await openArena(folder);
}, 60_000);
afterAll(() => arena.stop());

const all = [...connectionAttacks, malformedFrames, ...callAttacks, ...floodAttacks];
const cases = all.flatMap((attack) => attack.doors.map((door) => ({ name: attack.name, door, attack })));

describe('beside hostile clients others are served, and nothing is left over', () => {
  it.each(cases)('$name ($door)', async ({ attack, door }) => {
    console.log(rowOf(await arena.suffer(attack, door)));
  });
});
