import { describe, expect, it } from 'vitest';
import { keysInProcess } from '../../common/keys-in-process.ts';
import { emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import {
  activeIds,
  bundledIds,
  HOUR,
  type Machine,
  newMachine,
  pass,
  recordingLog,
  running,
  startOn,
  trustDomain,
} from '../../test/support/authorities.ts';
import { decodeJournal } from './journal/codec.ts';

describe('the first start', () => {
  it('makes and activates one authority of each kind, in the bundle and in the journal', async () => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    const ids = activeIds(authorities);
    expect(await bundledIds(machine)).toEqual({ x509: [ids.x509], jwt: [ids.jwt] });
    expect((await machine.keyManager.listKeys()).map((key) => key.id).sort()).toEqual(['JWT-Signer-A', 'x509-CA-A']);
    const [row, ...others] = await machine.journals.list();
    expect(others).toEqual([]);
    expect(row).toMatchObject({ activeX509AuthorityId: ids.x509, activeJwtAuthorityId: '' });
    const { x509, jwt } = decodeJournal(row?.data ?? Buffer.of());
    const times = { issuedAt: machine.clock.now() / 1000, notAfter: machine.clock.now() / 1000 + 24 * 3600 };
    expect(x509).toMatchObject([
      { slotId: 'A', status: 'active', authorityId: ids.x509, upstreamAuthorityId: '', ...times },
    ]);
    expect(jwt).toMatchObject([{ slotId: 'A', status: 'active', authorityId: ids.jwt, keyId: ids.jwt, ...times }]);
    expect(ids.jwt).toMatch(/^[A-Za-z0-9]{32}$/);
  });

  it('makes the CA certificate by the profile', async () => {
    const authorities = await startOn(newMachine());
    const ca = authorities.x509.current;
    expect(ca?.chain).toEqual([]);
    const certificate = parseCertificate(ca?.certificate ?? Buffer.of());
    expect(certificate).toMatchObject({
      isCa: true,
      uris: ['spiffe://example.org'],
      notAfter: (ca?.notAfter ?? 0) * 1000,
    });
    expect(certificate.subjectKeyId?.toString('hex')).toBe(ca?.authorityId);
  });

  it('makes no JWT key when JWT-SVIDs are disabled', async () => {
    const machine = newMachine();
    const authorities = await startOn(machine, { config: { disableJwtSvids: true } });
    expect(authorities.jwt.current).toBeUndefined();
    expect(authorities.jwtRotation).toBeUndefined();
    expect((await bundledIds(machine)).jwt).toEqual([]);
    await running(authorities, () => pass(machine, 13 * HOUR));
    expect((await bundledIds(machine)).jwt).toEqual([]);
  });

  it('fails when there is nothing to sign with', async () => {
    const machine = newMachine();
    const bundles = { ...machine.bundles, append: async () => Promise.reject(new Error('disk full')) };
    await expect(startOn({ ...machine, bundles })).rejects.toThrow('no authority to sign with: disk full');
  });
});

describe('a restart', () => {
  it('goes on with the same authorities and changes nothing', async () => {
    const machine = newMachine();
    const before = activeIds(await startOn(machine));
    const stored = await machine.bundles.get(trustDomain);
    machine.clock.jump(machine.clock.now() + 11 * HOUR);
    expect(activeIds(await startOn(machine))).toEqual(before);
    expect(await machine.bundles.get(trustDomain)).toEqual(stored);
    expect(await machine.journals.list()).toHaveLength(1);
  });

  it('goes on with what was prepared', async () => {
    const machine = newMachine();
    const first = await startOn(machine);
    await running(first, () => pass(machine, 12 * HOUR + 20_000));
    const second = await startOn(machine);
    expect(activeIds(second)).toEqual(activeIds(first));
    expect(second.x509Rotation.next).toEqual(first.x509Rotation.next);
    expect(second.jwtRotation?.next).toMatchObject({ status: 'prepared' });
  });

  it('does not complain about the history in the journal', async () => {
    const machine = newMachine();
    for (let i = 0; i < 5; i += 1) {
      await (await startOn(machine)).close();
      machine.clock.jump(machine.clock.now() + 21 * HOUR);
    }
    const { log, lines } = recordingLog();
    await startOn(machine, { log });
    expect(lines.filter((line) => line.message.endsWith('slot unusable'))).toEqual([]);
  });

  it('does at once what fell due while the server was down', async () => {
    const machine = newMachine();
    const before = activeIds(await startOn(machine));
    machine.clock.jump(machine.clock.now() + 21 * HOUR);
    const after = await startOn(machine);
    expect(activeIds(after).x509).not.toBe(before.x509);
    expect(after.x509Rotation.next).toMatchObject({ authorityId: before.x509, status: 'old' });
  });

  it('serves with what it has when a rotation fails, and counts the failure', async () => {
    const machine = newMachine();
    const before = activeIds(await startOn(machine));
    machine.clock.jump(machine.clock.now() + 21 * HOUR);
    const bundles = { ...machine.bundles, append: async () => Promise.reject(new Error('disk full')) };
    const authorities = await startOn({ ...machine, bundles });
    expect(activeIds(authorities)).toEqual(before);
    expect(authorities.failedRotations).toBe(1);
    await running(authorities, () => pass(machine, 100_000));
    expect(authorities.failedRotations).toBe(11);
  });
});

describe('the journal at start', () => {
  const cases: Record<string, { readonly reason: string; readonly spoil: (machine: Machine) => Promise<Machine> }> = {
    'an expired authority': {
      reason: 'slot expired',
      spoil: async (machine) => {
        machine.clock.jump(machine.clock.now() + 25 * HOUR);
        return machine;
      },
    },
    'an authority whose key was replaced': {
      reason: 'public key does not match key manager key',
      spoil: async (machine) => {
        // The row is still found, through another key that fits.
        const [row] = await machine.journals.list();
        const other = await machine.keyManager.generateKey('x509-CA-A', 'ec-p256');
        await machine.keyManager.generateKey('JWT-Signer-A', 'ec-p256');
        const { authorityId } = await import('../../spiffe/x509/profile.ts');
        if (row) await machine.journals.save({ ...row, activeX509AuthorityId: authorityId(other.publicKey) });
        return machine;
      },
    },
    'an authority that is not in the bundle': {
      reason: 'authority is not in the bundle',
      spoil: async (machine) => {
        await machine.bundles.set(emptyBundle(trustDomain));
        return machine;
      },
    },
  };
  for (const [what, { reason, spoil }] of Object.entries(cases)) {
    it(`drops ${what}, and says so`, async () => {
      const machine = newMachine();
      const before = activeIds(await startOn(machine));
      const { log, lines } = recordingLog();
      const after = activeIds(await startOn(await spoil(machine), { log }));
      expect(after.x509).not.toBe(before.x509);
      expect(after.jwt).not.toBe(before.jwt);
      const warnings = lines
        .filter((line) => line.message.endsWith('slot unusable'))
        .map((line) => line.fields?.['error']);
      expect(warnings).toEqual([reason, reason]);
      expect(activeIds(await startOn(machine))).toEqual(after);
    });
  }

  it('is begun anew when no key is there any more', async () => {
    const machine = newMachine();
    const before = activeIds(await startOn(machine));
    const after = activeIds(await startOn({ ...machine, keyManager: keysInProcess() }));
    expect(after.x509).not.toBe(before.x509);
    expect((await bundledIds(machine)).x509).toEqual([before.x509, after.x509]);
    expect(await machine.journals.list()).toHaveLength(2);
  });

  it('is never overwritten when it cannot be read', async () => {
    const machine = newMachine();
    await startOn(machine);
    const [row] = await machine.journals.list();
    if (row) await machine.journals.save({ ...row, data: row.data.subarray(0, 40) });
    await expect(startOn(machine)).rejects.toThrow(/unable to read CA journal record 1/);
    expect((await bundledIds(machine)).x509).toHaveLength(1);
  });
});
