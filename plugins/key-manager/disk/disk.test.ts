import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { pluginContext } from '../../../test/support/plugin-context.ts';
import { scratchFolder } from '../../../test/support/scratch.ts';
import { describeKeyManager } from '../conformance.ts';
import type { KeyManager } from '../contract.ts';
import { agentDiskKeyManager, serverDiskKeyManager } from './disk.ts';

const folder = scratchFolder();
let counter = 0;
const freshPath = (): string => path.join(folder, String((counter += 1)));

const openServer = async (file: string): Promise<KeyManager> =>
  serverDiskKeyManager.create({ keys_path: file }, pluginContext(), undefined);
const openAgent = async (directory: string): Promise<KeyManager> =>
  agentDiskKeyManager.create({ directory }, pluginContext(), undefined);

/** Remembers where each manager keeps its keys, so that the suite can open them again. */
function reopening(open: (place: string) => Promise<KeyManager>) {
  const places = new Map<KeyManager, string>();
  return {
    async open(): Promise<KeyManager> {
      const place = freshPath();
      const manager = await open(place);
      places.set(manager, place);
      return manager;
    },
    reopen: (manager: KeyManager): Promise<KeyManager> => open(places.get(manager) ?? ''),
  };
}

describeKeyManager({ name: 'disk (server)', ...reopening(openServer) });
describeKeyManager({ name: 'disk (agent)', ...reopening(openAgent) });

describe('the keys file', () => {
  it("has the reference's format and is for the owner only", async () => {
    const file = freshPath();
    const manager = await openServer(file);
    await manager.generateKey('x509-CA-B', 'ec-p256');
    await manager.generateKey('JWT-Signer-A', 'ec-p256');
    expect(readFileSync(file, 'utf8')).toMatch(
      /^\{\n\t"keys": \{\n\t\t"JWT-Signer-A": "[A-Za-z0-9+/]+=*",\n\t\t"x509-CA-B": "[A-Za-z0-9+/]+=*"\n\t\}\n\}$/,
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('is not made before there is a key', async () => {
    const file = freshPath();
    await openServer(file);
    expect(existsSync(file)).toBe(false);
  });

  const wrong: Record<string, string> = {
    'an empty file': '',
    'a torn write': '{\n\t"keys": {\n\t\t"x509-CA-A": "MIGHAgEAMBMGByq',
    'no object': '[]',
    'no keys': '{}',
    'keys of the wrong kind': '{"keys": ["MIGH"]}',
    'a key of the wrong kind': '{"keys": {"x509-CA-A": 1}}',
    'a torn key': '{"keys": {"x509-CA-A": "MIGHAgEAMBMGByq="}}',
  };
  for (const [what, content] of Object.entries(wrong)) {
    it(`is refused by name and left as it is when it holds ${what}`, async () => {
      const file = freshPath();
      writeFileSync(file, content);
      const failure = await openServer(file).then(
        () => undefined,
        (error: Error) => error,
      );
      expect(failure).toMatchObject({ code: 'failed-precondition' });
      expect(failure?.message).toContain(file);
      expect(failure?.message).not.toContain('MIGH');
      expect(readFileSync(file, 'utf8')).toBe(content);
    });
  }

  it('keeps the previous keys when a new one cannot be written', async () => {
    const file = freshPath();
    const manager = await openServer(file);
    const kept = await manager.generateKey('A', 'ec-p256');
    const content = readFileSync(file, 'utf8');
    mkdirSync(`${file}.tmp`);
    await expect(manager.generateKey('A', 'ec-p256')).rejects.toThrow(`unable to write keys file ${file}`);
    expect((await manager.getKey('A'))?.publicKey.equals(kept.publicKey)).toBe(true);
    expect(readFileSync(file, 'utf8')).toBe(content);
  });
});

describe("the agent's folder", () => {
  it('is made for the owner only, and the write probe is gone', async () => {
    const directory = path.join(freshPath(), 'deep');
    const manager = await openAgent(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(existsSync(path.join(directory, '.probe'))).toBe(false);
    await manager.generateKey('agent-svid-A', 'ec-p256');
    expect(statSync(path.join(directory, 'keys.json')).mode & 0o777).toBe(0o600);
  });

  it('is refused when it cannot be written', async () => {
    const directory = freshPath();
    writeFileSync(directory, 'a file, not a folder');
    await expect(openAgent(directory)).rejects.toThrow(/^directory validation failed: /);
  });
});
