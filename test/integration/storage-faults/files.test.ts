import { createPublicKey, sign, verify } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadAgentData, saveAgentData } from '../../../agent/storage/agent-data.ts';
import { type FileOperations, replaceFile } from '../../../common/atomic-file.ts';
import { readKeyFile, writeKeyFile } from '../../../plugins/key-manager/disk/key-file.ts';
import { generateSigner } from '../../../spiffe/x509/key.ts';
import { issueCa } from '../../support/pki.ts';
import { scratchFolder } from '../../support/scratch.ts';

const folder = scratchFolder();

async function refusal(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => 'accepted',
    (error: Error) => error.message,
  );
}

describe('a torn file', () => {
  it('of keys is refused by name at every length, and left as it is', async () => {
    const file = path.join(folder, 'torn-keys.json');
    await writeKeyFile(file, new Map([['x509-CA-A', await generateSigner('ec-p256')]]));
    const whole = readFileSync(file);
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(file, whole.subarray(0, length));
      expect(await refusal(readKeyFile(file)), `${length} bytes`).toContain(`keys file ${file} cannot be used`);
      expect(readFileSync(file).equals(whole.subarray(0, length))).toBe(true);
    }
    writeFileSync(file, Buffer.alloc(whole.length));
    expect(await refusal(readKeyFile(file))).toContain(`keys file ${file} cannot be used`);
  });

  it('of agent data is refused by name at every length, and left as it is', async () => {
    const dir = path.join(folder, 'torn-agent');
    mkdirSync(dir);
    const file = path.join(dir, 'agent-data.json');
    await saveAgentData(dir, {
      bundle: [issueCa().der],
      reattestable: true,
      bootstrapUse: 'bootstrap',
      connectionAttempts: 0,
    });
    const whole = readFileSync(file);
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(file, whole.subarray(0, length));
      expect(await refusal(loadAgentData(dir)), `${length} bytes`).toContain(`${file} is malformed`);
      expect(readFileSync(file).equals(whole.subarray(0, length))).toBe(true);
    }
    writeFileSync(file, Buffer.alloc(whole.length));
    expect(await refusal(loadAgentData(dir))).toContain(`${file} is malformed`);
  });
});

describe('a damaged key', () => {
  it.each(['ec-p256', 'rsa-2048'] as const)(
    'of type %s never signs what its public half does not verify',
    async (type) => {
      const file = path.join(folder, `${type}.json`);
      await writeKeyFile(file, new Map([['A', await generateSigner(type)]]));
      const document = JSON.parse(readFileSync(file, 'utf8')) as { keys: { A: string } };
      const der = Buffer.from(document.keys.A, 'base64');
      let refused = 0;
      const step = type === 'ec-p256' ? 1 : 41;
      for (let at = 0; at < der.length; at += step) {
        const flipped = Buffer.from(der);
        flipped[at] = (flipped[at] ?? 0) ^ 1;
        writeFileSync(file, JSON.stringify({ keys: { A: flipped.toString('base64') } }));
        try {
          const signer = (await readKeyFile(file)).get('A');
          if (signer === undefined) throw new Error('no key');
          const data = Buffer.from('data');
          const signature = sign('sha256', data, signer.privateKey);
          const publicKey = createPublicKey({ key: signer.publicKey, format: 'der', type: 'spki' });
          expect(verify('sha256', data, publicKey, signature), `byte ${at}`).toBe(true);
        } catch (error) {
          expect(String(error), `byte ${at}`).toContain(`keys file ${file} cannot be used`);
          refused += 1;
        }
      }
      // OpenSSL signs with what is whole of an RSA key, so many of its bytes do not matter.
      expect(refused).toBeGreaterThan(type === 'ec-p256' ? der.length / 2 : 0);
    },
  );
});

describe('replacing a file', () => {
  const steps = ['rm', 'open', 'chmod', 'writeFile', 'sync', 'close', 'rename'] as const;
  for (const code of ['EIO', 'ENOSPC', 'EROFS', 'EACCES']) {
    it.each(steps)(`that fails with ${code} at %s keeps the old content and leaves nothing else`, async (step) => {
      const place = path.join(folder, `${code}-${step}`);
      mkdirSync(place);
      const file = path.join(place, 'keys.json');
      writeFileSync(file, 'old');
      await expect(replaceFile(file, 'new', 0o600, failingAt(step, code))).rejects.toThrow(code);
      expect(readFileSync(file, 'utf8')).toBe('old');
      expect(readdirSync(place)).toEqual(['keys.json']);
      await replaceFile(file, 'new', 0o600);
      expect(readFileSync(file, 'utf8')).toBe('new');
    });
  }

  it('names the file when agent data cannot be written', async () => {
    const dir = path.join(folder, 'gone');
    expect(await refusal(saveAgentData(dir, await loadAgentData(folder)))).toContain(
      `unable to write ${path.join(dir, 'agent-data.json')}`,
    );
    expect(existsSync(dir)).toBe(false);
  });

  it('gets past what a crash left', async () => {
    const file = path.join(folder, 'after-crash.json');
    writeFileSync(`${file}.tmp`, 'half');
    chmodSync(`${file}.tmp`, 0o000);
    await replaceFile(file, 'new', 0o600);
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(existsSync(`${file}.tmp`)).toBe(false);
    rmSync(file);
  });
});

/** The real operations, of which the first one called `step` fails once. */
function failingAt(step: string, code: string): FileOperations {
  let armed = true;
  const maybe = (name: string): void => {
    if (!armed || name !== step) return;
    armed = false;
    throw Object.assign(new Error(`${code}: injected`), { code });
  };
  return {
    async open(file, flags, mode) {
      maybe('open');
      const handle = await open(file, flags, mode);
      return {
        async chmod(bits) {
          maybe('chmod');
          await handle.chmod(bits);
        },
        async writeFile(data) {
          maybe('writeFile');
          await handle.writeFile(data);
        },
        async sync() {
          maybe('sync');
          await handle.sync();
        },
        async close() {
          await handle.close();
          maybe('close');
        },
      };
    },
    async rename(from, to) {
      maybe('rename');
      await rename(from, to);
    },
    async rm(file, options) {
      maybe('rm');
      await rm(file, options);
    },
  };
}
