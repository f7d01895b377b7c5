import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { subject } from '../../common/observable.ts';
import { emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { countingRandom, HOUR, newMachine, startOn, trustDomain } from '../../test/support/authorities.ts';
import { issuerOf } from '../issuance/issue.ts';
import { startServerIdentity } from './server-identity.ts';

async function running(options: { readonly failing?: () => boolean } = {}) {
  const machine = newMachine();
  const { clock } = machine;
  const authorities = await startOn(machine);
  const config = { x509SvidTtl: HOUR, jwtSvidTtl: HOUR, agentTtl: HOUR, jwtIssuer: '' };
  const issuer = issuerOf({ trustDomain, config, authorities, clock, random: countingRandom() });
  const bundle = subject((await machine.bundles.get(trustDomain)) ?? emptyBundle(trustDomain));
  const log: string[] = [];
  const write = (message: string): void => void log.push(message);
  const logger = { error: write, warn: write, info: write, debug: () => undefined, trace: () => undefined };
  const server = await startServerIdentity({
    issuer: {
      serverX509Svid: async (request) => {
        if (options.failing?.() === true) throw new Error('no CA');
        return issuer.serverX509Svid(request);
      },
    },
    bundle,
    keyType: 'ec-p256',
    clock,
    log: { ...logger, with: () => ({ ...logger, with: () => expect.fail() }) },
  });
  const stop = new AbortController();
  const done = server.run(stop.signal);
  /** Lets time go by in steps of the check, each until the check is over. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 5000) {
      await clock.advance(Math.min(left, 5000));
      while (clock.sleeping < 1) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const end = async (): Promise<void> => {
    stop.abort();
    await done;
  };
  return { authorities, bundle, clock, end, log, pass, server };
}

describe('the identity of the server', () => {
  it('is an X509-SVID whose key it holds', async () => {
    const { end, server } = await running();
    const { chain, id, privateKey } = server.identity.current;
    expect(id).toBe('spiffe://example.org/spire/server');
    expect(chain).toHaveLength(1);
    expect(new X509Certificate(chain[0] ?? Buffer.of()).checkPrivateKey(privateKey)).toBe(true);
    await end();
  });

  it('is replaced once there is a valid authority, when the clock was set back to before it was made', async () => {
    const { authorities, clock, end, log, pass, server } = await running();
    clock.jump(clock.now() - HOUR);
    const before = server.identity.current;
    await pass(5000);
    expect(server.identity.current).toBe(before);
    expect(log).toContain('Could not rotate server SVID');
    const { x509Rotation } = authorities;
    await x509Rotation.prepare();
    await x509Rotation.activate(x509Rotation.next?.authorityId ?? '');
    await pass(5000);
    expect(server.identity.current.notBefore * 1000).toBeLessThan(clock.now());
    await end();
  });

  it('is replaced, key and all, past half of its lifetime', async () => {
    const { end, pass, server } = await running();
    const first = server.identity.current;
    const seen: unknown[] = [];
    server.identity.subscribe((value) => seen.push(value));
    // The lifetime begins 10 s before now.
    await pass(HOUR / 2 - 5000);
    expect(server.identity.current).toBe(first);
    await pass(5000);
    expect(seen).toEqual([server.identity.current]);
    expect(server.identity.current.privateKey.equals(first.privateKey)).toBe(false);
    await end();
  });

  it('stays while a new one cannot be had, and is replaced as soon as it can', async () => {
    let failing = false;
    const { end, log, pass, server } = await running({ failing: () => failing });
    const first = server.identity.current;
    failing = true;
    await pass(HOUR / 2 + 10_000);
    expect(server.identity.current).toBe(first);
    expect(log).toContain('Could not rotate server SVID');
    failing = false;
    await pass(5000);
    expect(server.identity.current).not.toBe(first);
    await end();
  });

  it('is replaced at once when its authority is tainted, and then left alone', async () => {
    const { authorities, bundle, end, pass, server } = await running();
    const first = server.identity.current;
    await authorities.x509Rotation.prepare();
    await authorities.x509Rotation.activate(authorities.x509Rotation.next?.authorityId ?? '');
    await pass(5000);
    expect(server.identity.current).toBe(first);
    bundle.publish({
      ...bundle.current,
      x509Authorities: bundle.current.x509Authorities.map((one) => ({ ...one, tainted: true })),
    });
    await pass(5000);
    const second = server.identity.current;
    expect(second).not.toBe(first);
    await pass(20_000);
    expect(server.identity.current).toBe(second);
    await end();
  });
});
