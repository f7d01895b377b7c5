import { describe, expect, it } from 'vitest';
import type { BundleStore, CaJournal } from '../../plugins/datastore/sql/contract.ts';
import type { KeyType } from '../../spiffe/signer.ts';
import { activeIds, bundledIds, HOUR, type Machine, newMachine, startOn } from '../../test/support/authorities.ts';

/** Each thing a process leaves behind, in order, and where to kill it: just before or just after the n-th. */
interface Kill {
  readonly at: number;
  readonly when: 'before' | 'after';
}

/** The machine as seen by a process that dies: from the moment on, nothing it does has an effect. */
function dying(machine: Machine, kill: Kill): { readonly mortal: Machine; readonly effects: () => number } {
  let effects = 0;
  let dead = false;
  const dies = (): never => {
    dead = true;
    throw new Error('killed');
  };
  const killable =
    <A extends unknown[], T>(effect: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      if (dead) return dies();
      const turn = effects;
      effects += 1;
      if (turn === kill.at && kill.when === 'before') return dies();
      const result = await effect(...args);
      return turn === kill.at ? dies() : result;
    };
  const { bundles, journals, keyManager } = machine;
  return {
    effects: () => effects,
    mortal: {
      ...machine,
      bundles: { ...bundles, append: killable((added: Parameters<BundleStore['append']>[0]) => bundles.append(added)) },
      journals: { ...journals, save: killable((row: CaJournal) => journals.save(row)) },
      keyManager: {
        ...keyManager,
        generateKey: killable((id: string, type: KeyType) => keyManager.generateKey(id, type)),
      },
    },
  };
}

/**
 * For each effect that a starting server has on the machine as `moment` makes it: kills it there and hands over the machine.
 *
 * @returns how many effects there are
 */
async function atEachKill(moment: () => Promise<Machine>, check: (machine: Machine) => Promise<void>): Promise<number> {
  for (let at = 0; ; at += 1) {
    for (const when of ['before', 'after'] as const) {
      const machine = await moment();
      const { mortal, effects } = dying(machine, { at, when });
      await startOn(mortal).catch(() => undefined);
      if (effects() <= at) return at;
      await check(machine);
    }
  }
}

describe('a server that is killed', () => {
  it('at its first start, leaves at most one root, and goes on with it', async () => {
    const kills = await atEachKill(
      async () => newMachine(),
      async (machine) => {
        const left = await bundledIds(machine);
        const authorities = await startOn(machine);
        const after = await bundledIds(machine);
        expect(after.x509).toEqual(left.x509.length > 0 ? left.x509 : [authorities.x509.current?.authorityId]);
        expect(after.jwt).toEqual(left.jwt.length > 0 ? left.jwt : [authorities.jwt.current?.keyId]);
        expect(activeIds(authorities)).toEqual({ x509: after.x509[0], jwt: after.jwt[0] });
        expect(activeIds(await startOn(machine))).toEqual(activeIds(authorities));
      },
    );
    // Key, journal, bundle, journal; for each of the two kinds.
    expect(kills).toBe(8);
  });

  for (const [what, hours, expected] of [
    ['while it prepares', 13, 6],
    ['while it prepares and activates', 21, 8],
  ] as const) {
    it(`${what}, adds one root and loses none`, async () => {
      let before = { x509: '', jwt: '' };
      const kills = await atEachKill(
        async () => {
          const machine = newMachine();
          const ids = activeIds(await startOn(machine));
          before = { x509: ids.x509 ?? '', jwt: ids.jwt ?? '' };
          machine.clock.jump(machine.clock.now() + hours * HOUR);
          return machine;
        },
        async (machine) => {
          const left = await bundledIds(machine);
          const authorities = await startOn(machine);
          const after = await bundledIds(machine);
          expect(after.x509.slice(0, left.x509.length)).toEqual(left.x509);
          expect(after.x509).toEqual([before.x509, expect.any(String)]);
          expect(after.jwt.slice(0, left.jwt.length)).toEqual(left.jwt);
          expect(after.jwt).toEqual([before.jwt, expect.any(String)]);
          const rotated = hours > 20;
          expect(activeIds(authorities)).toEqual({
            x509: after.x509[rotated ? 1 : 0],
            jwt: after.jwt[rotated ? 1 : 0],
          });
        },
      );
      expect(kills).toBe(expected);
    });
  }

  it('after it was down for longer than its authorities are valid, adds one root', async () => {
    const kills = await atEachKill(
      async () => {
        const machine = newMachine();
        await startOn(machine);
        machine.clock.jump(machine.clock.now() + 30 * HOUR);
        return machine;
      },
      async (machine) => {
        const left = await bundledIds(machine);
        const authorities = await startOn(machine);
        const after = await bundledIds(machine);
        expect(after.x509).toEqual([left.x509[0], left.x509[1] ?? expect.any(String)]);
        expect(after.jwt).toEqual([left.jwt[0], left.jwt[1] ?? expect.any(String)]);
        expect(activeIds(authorities)).toEqual({ x509: after.x509[1], jwt: after.jwt[1] });
      },
    );
    expect(kills).toBe(8);
  });

  it('between preparing and activating, activates what was prepared', async () => {
    await atEachKill(
      async () => {
        const machine = newMachine();
        await startOn(machine);
        machine.clock.jump(machine.clock.now() + 13 * HOUR);
        await startOn(machine);
        machine.clock.jump(machine.clock.now() + 8 * HOUR);
        return machine;
      },
      async (machine) => {
        const left = await bundledIds(machine);
        const authorities = await startOn(machine);
        expect(await bundledIds(machine)).toEqual(left);
        expect(activeIds(authorities)).toEqual({ x509: left.x509[1], jwt: left.jwt[1] });
      },
    );
  });
});
