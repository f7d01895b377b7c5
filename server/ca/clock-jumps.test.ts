import { describe, expect, it } from 'vitest';
import {
  activeIds,
  bundledIds,
  countingRandom,
  HOUR,
  type Machine,
  newMachine,
  pass,
  running,
  startOn,
  trustDomain,
} from '../../test/support/authorities.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import { type Issuer, issuerOf } from '../issuance/issue.ts';
import type { Authorities } from './authorities.ts';

const id = parseSpiffeId('spiffe://example.org/workload');

function issuerOn({ clock }: Machine, authorities: Authorities): Issuer {
  const config = { x509SvidTtl: HOUR, jwtSvidTtl: HOUR, agentTtl: HOUR, jwtIssuer: '' };
  return issuerOf({ trustDomain, config, authorities, clock, random: countingRandom() });
}

/** Whether an SVID that is signed now, and the root above it, are valid by the clock of everybody who hears of both now. */
async function signsValidSvids(machine: Machine, authorities: Authorities): Promise<boolean> {
  const { publicKey } = await generateSigner('ec-p256');
  const { chain } = await issuerOn(machine, authorities).workloadX509Svid({ publicKey, id, dnsNames: [], ttl: 0 });
  const bundle = await machine.bundles.get(trustDomain);
  const leaf = parseCertificate(chain[0] ?? Buffer.of());
  const roots = (bundle?.x509Authorities ?? []).map(({ certificate }) => parseCertificate(certificate));
  const root = roots.find(({ subjectKeyId: keyId }) => keyId !== undefined && leaf.authorityKeyId?.equals(keyId));
  const now = machine.clock.now();
  return [leaf, root].every((one) => one !== undefined && one.notBefore <= now && now < one.notAfter);
}

async function rootCount(machine: Machine): Promise<number> {
  return (await bundledIds(machine)).x509.length;
}

const jump = ({ clock }: Machine, ms: number): void => clock.jump(clock.now() + ms);

describe('a clock that is set, or stood still while the machine was suspended', () => {
  it.each([
    ['by an hour, within the lifetime', HOUR, 1],
    ['past the moment at which the next is prepared', 13 * HOUR, 2],
    ['past the moment at which the next takes over', 21 * HOUR, 2],
    ['past the end', 30 * HOUR, 2],
    ['by a year', 365 * 24 * HOUR, 2],
  ])('forward %s: what is due is done once', async (_what, ms, roots) => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    await running(authorities, async () => {
      jump(machine, ms);
      await pass(machine, 60_000);
      expect(await signsValidSvids(machine, authorities)).toBe(true);
      expect(await rootCount(machine)).toBe(roots);
    });
  });

  it.each([
    ['by seconds', -9000, 0, 1],
    ['by an hour, when the authority is older', -HOUR, 2 * HOUR, 1],
    ['by an hour, to before the authority was made', -HOUR, 0, 2],
    ['by a year', -365 * 24 * HOUR, 5 * HOUR, 2],
  ])('back %s: who signs is valid now', async (_what, ms, age, roots) => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    await running(authorities, async () => {
      await pass(machine, age);
      jump(machine, ms);
      await pass(machine, 60_000);
      expect(await signsValidSvids(machine, authorities)).toBe(true);
      expect(await rootCount(machine)).toBe(roots);
    });
  });

  it('signs nothing in the moment before a valid authority is there', async () => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    jump(machine, -HOUR);
    await expect(signsValidSvids(machine, authorities)).rejects.toThrow('X509 CA is not available for signing');
    await authorities.close();
  });

  it('is a year ahead for a while: the roots from before and after are kept, and no more are made than the jumps', async () => {
    const machine = newMachine();
    const authorities = await startOn(machine);
    const { x509: first } = activeIds(authorities);
    await running(authorities, async () => {
      jump(machine, 365 * 24 * HOUR);
      await pass(machine, 60_000);
      jump(machine, -365 * 24 * HOUR);
      await pass(machine, 60_000);
      expect(await signsValidSvids(machine, authorities)).toBe(true);
      const { x509 } = await bundledIds(machine);
      expect(x509).toHaveLength(3);
      expect(x509).toContain(first);
    });
  });

  it('is set back while the server is down: the next start signs validly, and the one after makes no more roots', async () => {
    const machine = newMachine();
    await (await startOn(machine)).close();
    jump(machine, -HOUR);
    const again = await startOn(machine);
    expect(await signsValidSvids(machine, again)).toBe(true);
    await again.close();
    const onceMore = await startOn(machine);
    expect(activeIds(onceMore)).toEqual(activeIds(again));
    expect(await rootCount(machine)).toBe(2);
    await onceMore.close();
  });
});
