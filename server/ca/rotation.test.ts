import { describe, expect, it } from 'vitest';
import { keysInProcess } from '../../common/keys-in-process.ts';
import {
  activeIds,
  bundledIds,
  HOUR,
  type Machine,
  newMachine,
  pass,
  running,
  startOn,
} from '../../test/support/authorities.ts';
import { decodeJournal } from './journal/codec.ts';

describe('rotation', () => {
  it('prepares past half of the lifetime and activates past five sixths, the bundle first', async () => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    const first = activeIds(authorities);
    await running(authorities, async () => {
      await pass(machine, 12 * HOUR);
      expect(await bundledIds(machine)).toEqual({ x509: [first.x509], jwt: [first.jwt] });
      await pass(machine, 10_000);
      const next = authorities.x509Rotation.next;
      expect(next?.status).toBe('prepared');
      expect(activeIds(authorities)).toEqual(first);
      expect(await bundledIds(machine)).toEqual({
        x509: [first.x509, next?.authorityId],
        jwt: [first.jwt, authorities.jwtRotation?.next?.authorityId],
      });
      await pass(machine, 8 * HOUR - 10_000);
      expect(activeIds(authorities)).toEqual(first);
      await pass(machine, 10_000);
      expect(activeIds(authorities).x509).toBe(next?.authorityId);
      expect(authorities.x509Rotation.next).toMatchObject({ authorityId: first.x509, status: 'old' });
      expect(await bundledIds(machine)).toMatchObject({ x509: [first.x509, next?.authorityId] });
    });
  });

  it('publishes the same authority again when it is not sure that the bundle has it', async () => {
    const machine = newMachine();
    let failures = 0;
    const bundles: Machine['bundles'] = {
      ...machine.bundles,
      append: async (added) => {
        const stored = await machine.bundles.append(added);
        failures -= 1;
        return failures >= 0 ? Promise.reject(new Error('connection lost')) : stored;
      },
    };
    const authorities = await startOn({ ...machine, bundles });
    machine.clock.jump(machine.clock.now() + 13 * HOUR);
    failures = 5;
    await running(authorities, () => pass(machine, 60_000));
    expect(authorities.failedRotations).toBe(0);
    expect(await bundledIds(machine)).toEqual({
      x509: [authorities.x509.current?.authorityId, authorities.x509Rotation.next?.authorityId],
      jwt: [authorities.jwt.current?.keyId, authorities.jwtRotation?.next?.authorityId],
    });
  });

  it('takes old authorities out of the bundle a day after they expired', async () => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    const first = activeIds(authorities);
    await running(authorities, async () => {
      await pass(machine, 48 * HOUR - 1000);
      expect((await bundledIds(machine)).x509).toContain(first.x509);
      await pass(machine, 7 * HOUR);
      const left = await bundledIds(machine);
      expect(left.x509).not.toContain(first.x509);
      expect(left.jwt).not.toContain(first.jwt);
      expect(left.x509).toContain(activeIds(authorities).x509);
    });
  });

  it('goes on for months, over a restart every 7 hours, with one root per rotation', async () => {
    const machine = newMachine();
    const seen = new Set<string | undefined>();
    for (let hours = 0; hours < 90 * 24; hours += 7) {
      const authorities = await startOn(machine);
      seen.add(authorities.x509.current?.authorityId);
      await authorities.close();
      machine.clock.jump(machine.clock.now() + 7 * HOUR);
    }
    const { x509 } = await bundledIds(machine);
    // Looked at each 7 h, the next root is made 14 h after the one before, and signs from 7 h later on.
    expect(seen.size).toBe(Math.floor((90 * 24) / 14));
    expect([...seen].every((id) => x509.includes(id ?? ''))).toBe(true);
    expect(x509.length - seen.size).toBeLessThanOrEqual(1);
    const [row] = await machine.journals.list();
    expect(decodeJournal(row?.data ?? Buffer.of()).x509).toHaveLength(10);
  });
});

describe('rotation by hand', () => {
  it('prepares anew on each request and activates only the authority that is named', async () => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    const { x509Rotation } = authorities;
    await x509Rotation.prepare();
    const spoiled = x509Rotation.next?.authorityId ?? '';
    await x509Rotation.prepare();
    const next = x509Rotation.next?.authorityId ?? '';
    expect(next).not.toBe(spoiled);
    await expect(x509Rotation.activate(spoiled)).rejects.toMatchObject({ code: 'failed-precondition' });
    const former = authorities.x509.current?.authorityId;
    await x509Rotation.activate(next);
    expect(authorities.x509.current?.authorityId).toBe(next);
    await expect(x509Rotation.activate(former ?? '')).rejects.toThrow('no X509 CA is prepared');
    expect(activeIds(await startOn(machine)).x509).toBe(next);
  });
});

describe('journals of servers that are gone', () => {
  it('are deleted two weeks after everything in them expired', async () => {
    const machine = newMachine();
    await startOn({ ...machine, keyManager: keysInProcess() });
    machine.clock.jump(machine.clock.now() + 15 * 24 * HOUR - 9 * HOUR);
    const authorities = await startOn(machine, { config: { caTtl: 100 * 24 * HOUR } });
    await running(authorities, async () => {
      await pass(machine, 8 * HOUR);
      expect(await machine.journals.list()).toHaveLength(2);
      await pass(machine, 8 * HOUR);
      expect(await machine.journals.list()).toMatchObject([{ activeX509AuthorityId: activeIds(authorities).x509 }]);
    });
  });
});
