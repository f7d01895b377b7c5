import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../common/clock.ts';
import { encodeName } from '../../../spiffe/x509/name.ts';
import { parseTrustDomain, type TrustDomain } from '../../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../../spiffe/x509/certificate.ts';
import { createCsr } from '../../../spiffe/x509/csr.ts';
import { generateSigner } from '../../../spiffe/x509/key.ts';
import { formatName } from '../../../spiffe/x509/name.ts';
import { verifyChainToRoots } from '../../../spiffe/x509/verify.ts';
import { countingRandom } from '../../../test/support/authorities.ts';
import { pluginContext } from '../../../test/support/plugin-context.ts';
import { scratchFolder } from '../../../test/support/scratch.ts';
import { newIntermediateCa, newRootCa, type TestCa } from '../../../test/support/upstream-ca.ts';
import type { MintedX509Ca, UpstreamAuthority } from '../contract.ts';
import { diskUpstreamAuthority, openDiskUpstream } from './disk.ts';

const HOUR = 3_600_000;
const folder = scratchFolder();
const trustDomain = parseTrustDomain('example.org');
const signal = new AbortController().signal;
let clock: ManualClock;
let root: TestCa;
const paths = {
  certificate: path.join(folder, 'ca.pem'),
  key: path.join(folder, 'ca.key'),
  bundle: path.join(folder, 'bundle.pem'),
};

beforeEach(async () => {
  clock = new ManualClock();
  root = await newRootCa({ trustDomain, now: clock.now(), notAfter: clock.now() + 10 * HOUR });
});

const open = (bundle: boolean): Promise<UpstreamAuthority> =>
  openDiskUpstream(
    { ...paths, bundle: bundle ? paths.bundle : undefined },
    pluginContext({ clock, trustDomain }),
    countingRandom(),
  );

const write = (ca: TestCa, chain: readonly TestCa[] = [ca]): void => {
  writeFileSync(paths.certificate, chain.map((one) => one.certificatePem).join(''));
  writeFileSync(paths.key, ca.keyPem);
};

async function request(uris: readonly string[] = ['spiffe://example.org']): Promise<Buffer> {
  const subject = encodeName({ country: ['US'], organization: ['SPIFFE'], serialNumber: '7' });
  return createCsr({ signer: await generateSigner('ec-p384'), subject, uris });
}

async function firstRoots({ roots }: MintedX509Ca): Promise<readonly Buffer[]> {
  const first = await roots[Symbol.asyncIterator]().next();
  return first.done === true ? [] : first.value.map((one) => one.certificate);
}

describe('UpstreamAuthority disk', () => {
  it('signs under a self-signed CA, which is the root', async () => {
    write(root);
    const minted = await (await open(false)).mintX509Ca({ csr: await request(), preferredTtl: 3 * 3600 }, signal);
    expect(minted.chain).toHaveLength(1);
    expect(await firstRoots(minted)).toEqual([root.certificate]);
    const certificate = parseCertificate(minted.chain[0] ?? Buffer.of());
    expect(certificate).toMatchObject({
      isCa: true,
      uris: ['spiffe://example.org'],
      notBefore: clock.now() - 10_000,
      notAfter: clock.now() + 3 * HOUR,
    });
    expect(formatName(certificate.subject)).toBe('SERIALNUMBER=7,O=SPIFFE,C=US');
    expect([...(certificate.keyUsage?.names ?? [])]).toEqual(['keyCertSign', 'cRLSign']);
    expect(verifyChainToRoots(minted.chain, [root.certificate], clock.now())).toHaveLength(2);
  });

  it('signs under an intermediate, which then is in the chain', async () => {
    const upper = await newIntermediateCa(root, clock.now());
    const lower = await newIntermediateCa(upper, clock.now());
    write(lower, [lower, upper]);
    writeFileSync(paths.bundle, root.certificatePem);
    const minted = await (await open(true)).mintX509Ca({ csr: await request(), preferredTtl: 0 }, signal);
    expect(minted.chain.slice(1)).toEqual([lower.certificate, upper.certificate]);
    expect(await firstRoots(minted)).toEqual([root.certificate]);
    expect(verifyChainToRoots(minted.chain, [root.certificate], clock.now())).toHaveLength(4);
  });

  it('gives an hour when asked for nothing, and never more than it has itself', async () => {
    write(root);
    const upstream = await open(false);
    const notAfter = async (preferredTtl: number): Promise<number> => {
      const { chain } = await upstream.mintX509Ca({ csr: await request(), preferredTtl }, signal);
      return parseCertificate(chain[0] ?? Buffer.of()).notAfter - clock.now();
    };
    expect(await notAfter(0)).toBe(HOUR);
    expect(await notAfter(24 * 3600)).toBe(10 * HOUR);
  });

  it('reads its files anew at each mint, and goes on with the last good ones', async () => {
    write(root);
    const upstream = await open(false);
    const other = await newRootCa({ trustDomain, now: clock.now(), notAfter: clock.now() + 10 * HOUR });
    write(other);
    const roots = async () => firstRoots(await upstream.mintX509Ca({ csr: await request(), preferredTtl: 0 }, signal));
    expect(await roots()).toEqual([other.certificate]);
    writeFileSync(paths.key, 'half a key');
    expect(await roots()).toEqual([other.certificate]);
  });

  const wrongRequests: Record<string, [() => Promise<Buffer>, string]> = {
    'for another trust domain': [
      () => request(['spiffe://other.org']),
      'CSR must use the ID of trust domain "example.org"',
    ],
    'without an ID': [() => request([]), 'CSR must have exactly one URI SAN'],
    'that its maker did not sign': [
      async () => {
        const csr = await request();
        csr.writeUInt8(csr.readUInt8(csr.length - 1) ^ 1, csr.length - 1);
        return csr;
      },
      'CSR signature check failed',
    ],
    'that is none': [async () => Buffer.from('junk'), 'unable to sign CSR: '],
  };
  for (const [what, [make, message]] of Object.entries(wrongRequests)) {
    it(`refuses a request ${what}`, async () => {
      write(root);
      const upstream = await open(false);
      await expect(upstream.mintX509Ca({ csr: await make(), preferredTtl: 0 }, signal)).rejects.toThrow(message);
    });
  }
});

describe('the files', () => {
  const otherDomain: TrustDomain = parseTrustDomain('other.org');

  it('must be there', async () => {
    write(root);
    const missing = diskUpstreamAuthority.create(
      { cert_file_path: paths.certificate, key_file_path: path.join(folder, 'none'), bundle_file_path: undefined },
      pluginContext(),
      undefined,
    );
    await expect(missing).rejects.toThrow(/unable to load upstream CA key .*none: ENOENT/);
  });

  it('must hold one certificate when there is no bundle', async () => {
    const intermediate = await newIntermediateCa(root, clock.now());
    write(intermediate, [intermediate, root]);
    await expect(open(false)).rejects.toThrow('with no bundle_file_path configured only self-signed CAs are supported');
  });

  it('must hold a CA that is valid now', async () => {
    write(root);
    await clock.advance(11 * HOUR);
    await expect(open(false)).rejects.toThrow('cannot be validated');
  });

  it('must hold a CA that the bundle trusts', async () => {
    write(await newIntermediateCa(root, clock.now()));
    const stranger = await newRootCa({ trustDomain: otherDomain, now: clock.now(), notAfter: clock.now() + HOUR });
    writeFileSync(paths.bundle, stranger.certificatePem);
    await expect(open(true)).rejects.toThrow('cannot be validated with the provided bundle');
  });

  it('must hold the key of the certificate, and never show it', async () => {
    write(root);
    const other = await generateSigner('ec-p256');
    writeFileSync(paths.key, other.privateKey.export({ type: 'sec1', format: 'pem' }));
    await expect(open(false)).rejects.toThrow(/certificate and private key .* do not match/);
    writeFileSync(paths.key, root.keyPem.replace('-----END', 'AAAA-----END'));
    await expect(open(false)).rejects.toThrow(/: not an unencrypted private key in PEM form$/);
  });
});
