import { describe, expect, it } from 'vitest';
import type { ManualClock } from '../../common/clock.ts';
import { FinialError } from '../../common/errors.ts';
import type { MintedX509Ca, UpstreamAuthority } from '../../plugins/upstream-authority/contract.ts';
import { signCaRequest } from '../../plugins/upstream-authority/disk/sign-request.ts';
import type { JwtAuthority, X509Authority } from '../../spiffe/bundle/bundle.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { activeIds, countingRandom, HOUR, newMachine, startOn, trustDomain } from '../../test/support/authorities.ts';
import { newIntermediateCa, newRootCa, type TestCa } from '../../test/support/upstream-ca.ts';

const root = (certificate: Buffer): X509Authority => ({ certificate, tainted: false });

/** An upstream whose every step the test decides. */
async function fakeUpstream(clock: ManualClock) {
  const anchor = await newRootCa({ trustDomain, now: clock.now(), notAfter: clock.now() + 365 * 24 * HOUR });
  const ca = await newIntermediateCa(anchor, clock.now());
  const streams: { push(roots: readonly X509Authority[]): void; fail(error: Error): void; signal: AbortSignal }[] = [];
  const upstream = { roots: [root(anchor.certificate)] as readonly X509Authority[], minted: 0, ttls: [] as number[] };
  const authority: UpstreamAuthority = {
    async mintX509Ca({ csr, preferredTtl }, signal): Promise<MintedX509Ca> {
      upstream.minted += 1;
      upstream.ttls.push(preferredTtl);
      const { queue, ...stream } = pushable<readonly X509Authority[]>();
      streams.push({ ...stream, signal });
      stream.push(upstream.roots);
      return { chain: [await sign(ca, csr, preferredTtl, clock), ca.certificate], roots: queue };
    },
  };
  return { anchor, ca, authority, upstream, streams };
}

function sign(ca: TestCa, csr: Buffer, preferredTtl: number, clock: ManualClock): Promise<Buffer> {
  const certificate = parseCertificate(ca.certificate);
  return signCaRequest({
    csr,
    preferredTtl,
    trustDomain,
    now: clock.now(),
    random: countingRandom(),
    ca: { certificate, signer: ca.signer, chain: [], roots: [] },
  });
}

/** An endless list that grows by what is pushed. */
function pushable<T>() {
  const waiting: (() => void)[] = [];
  const values: { value?: T; error?: Error }[] = [];
  const add = (one: { value?: T; error?: Error }): void => {
    values.push(one);
    waiting.splice(0).forEach((wake) => wake());
  };
  async function* queue(): AsyncIterable<T> {
    for (let i = 0; ; i += 1) {
      while (values.length <= i) await new Promise<void>((resolve) => waiting.push(resolve));
      const one = values[i];
      if (one?.error !== undefined) throw one.error;
      if (one?.value !== undefined) yield one.value;
    }
  }
  return { queue: queue(), push: (value: T) => add({ value }), fail: (error: Error) => add({ error }) };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a server with an upstream authority', () => {
  it('has its CA signed, with the upstream roots in the bundle and the rest in the chain', async () => {
    const machine = newMachine();
    const { anchor, ca, authority, upstream } = await fakeUpstream(machine.clock);
    const authorities = await startOn(machine, { upstream: { name: 'fake', authority } });
    const view = authorities.x509.current;
    expect(view?.chain).toEqual([view?.certificate, ca.certificate]);
    expect(upstream.ttls).toEqual([24 * 3600]);
    expect((await machine.bundles.get(trustDomain))?.x509Authorities).toEqual([root(anchor.certificate)]);
    expect(authorities.x509Rotation.current).toMatchObject({
      upstreamAuthorityId: parseCertificate(ca.certificate).subjectKeyId?.toString('hex'),
    });
    const subject = parseCertificate(view?.certificate ?? Buffer.of());
    expect(subject.uris).toEqual(['spiffe://example.org']);
  });

  it('goes on after a restart without asking the upstream again', async () => {
    const machine = newMachine();
    const { authority, upstream } = await fakeUpstream(machine.clock);
    const first = await startOn(machine, { upstream: { name: 'fake', authority } });
    await first.close();
    const second = await startOn(machine, { upstream: { name: 'fake', authority } });
    expect(activeIds(second)).toEqual(activeIds(first));
    expect(second.x509.current?.chain).toEqual(first.x509.current?.chain);
    expect(upstream.minted).toBe(1);
  });

  it('keeps its JWT key in the local bundle', async () => {
    const machine = newMachine();
    const { authority } = await fakeUpstream(machine.clock);
    const authorities = await startOn(machine, { upstream: { name: 'fake', authority } });
    const keys = (await machine.bundles.get(trustDomain))?.jwtAuthorities.map((one) => one.keyId);
    expect(keys).toEqual([authorities.jwt.current?.keyId]);
  });

  it('publishes its JWT key upstream where that keeps JWT keys', async () => {
    const machine = newMachine();
    const { authority } = await fakeUpstream(machine.clock);
    const other: JwtAuthority = { keyId: 'other', publicKey: Buffer.from('key'), expiresAt: 0, tainted: false };
    const publishing: UpstreamAuthority = {
      ...authority,
      async *publishJwtKey(key) {
        yield [other, key];
      },
    };
    const authorities = await startOn(machine, { upstream: { name: 'fake', authority: publishing } });
    const keys = (await machine.bundles.get(trustDomain))?.jwtAuthorities.map((one) => one.keyId);
    expect(keys).toEqual(['other', authorities.jwt.current?.keyId]);
  });

  it('does not wait for ever until its JWT key is published', async () => {
    const machine = newMachine();
    const { authority } = await fakeUpstream(machine.clock);
    const silent: UpstreamAuthority = { ...authority, publishJwtKey: () => pushable<readonly JwtAuthority[]>().queue };
    const starting = startOn(machine, { upstream: { name: 'fake', authority: silent } });
    const failure = starting.then(
      () => undefined,
      (error: unknown) => error,
    );
    while (machine.clock.sleeping === 0) await settled();
    await machine.clock.advance(5000);
    expect(await failure).toMatchObject({ code: 'deadline-exceeded' });
  });

  it('adds new roots as the upstream sends them, until its next CA', async () => {
    const machine = newMachine();
    const { anchor, authority, streams } = await fakeUpstream(machine.clock);
    const authorities = await startOn(machine, { upstream: { name: 'fake', authority } });
    const bundled = async () => (await machine.bundles.get(trustDomain))?.x509Authorities.map((one) => one.certificate);
    const newRoot = async () =>
      (await newRootCa({ trustDomain, now: machine.clock.now(), notAfter: machine.clock.now() + HOUR })).certificate;
    const [second, third] = [await newRoot(), await newRoot()];
    streams[0]?.push([root(anchor.certificate), root(second)]);
    await settled();
    expect(await bundled()).toEqual([anchor.certificate, second]);
    await authorities.x509Rotation.prepare();
    expect(streams.map((one) => one.signal.aborted)).toEqual([true, false]);
    streams[1]?.push([root(third)]);
    await settled();
    expect(await bundled()).toEqual([anchor.certificate, second, third]);
    streams[1]?.fail(new FinialError('unavailable', 'gone'));
    await settled();
    await authorities.close();
    expect(streams.map((one) => one.signal.aborted)).toEqual([true, true]);
  });
});

describe('a CA that cannot be used', () => {
  const wrong: Record<string, [(chain: readonly Buffer[], ca: TestCa) => readonly Buffer[], RegExp]> = {
    'whose chain does not lead to the roots': [([first]) => (first ? [first] : []), /X509 CA is invalid: /],
    'of another key': [(_chain, ca) => [ca.certificate], /X509 CA is invalid: .*public key is not the requested one/],
    'that is no certificate': [() => [Buffer.from('junk')], /malformed certificate/],
    'that is missing': [() => [], /malformed certificate/],
  };
  for (const [what, [spoil, message]] of Object.entries(wrong)) {
    it(`${what} is refused, and leaves the bundle alone`, async () => {
      const machine = newMachine();
      const { authority, ca } = await fakeUpstream(machine.clock);
      const spoiled: UpstreamAuthority = {
        async mintX509Ca(request, signal) {
          const minted = await authority.mintX509Ca(request, signal);
          return { ...minted, chain: spoil(minted.chain, ca) };
        },
      };
      await expect(startOn(machine, { upstream: { name: 'fake', authority: spoiled } })).rejects.toThrow(message);
      expect(await machine.bundles.get(trustDomain)).toBeUndefined();
      expect(await machine.journals.list()).toEqual([]);
    });
  }
});
