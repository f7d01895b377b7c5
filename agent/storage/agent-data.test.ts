import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodePem } from '../../spiffe/x509/pem.ts';
import { issueCa, issueSvid } from '../../test/support/pki.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { type AgentData, EMPTY_AGENT_DATA, loadAgentData, openAgentStore, saveAgentData } from './agent-data.ts';

const ca = issueCa();
const leaf = issueSvid(ca, 'spiffe://example.org/spire/agent/join_token/a');
const inFile = (der: Buffer): string => Buffer.from(encodePem('CERTIFICATE', der)).toString('base64');

const full: AgentData = {
  svid: [leaf.der, ca.der],
  bundle: [ca.der],
  reattestable: true,
  bootstrapUse: 'rebootstrap',
  bootstrapStartTime: new Date(Date.UTC(2026, 0, 2, 3, 4, 5)),
  connectionAttempts: 3,
};

describe('agent-data.json', () => {
  it('is empty when there is no file', async () => {
    expect(await loadAgentData(scratchFolder())).toEqual(EMPTY_AGENT_DATA);
  });

  it('is written to the byte as the reference writes it, for the owner only', async () => {
    const folder = scratchFolder();
    const file = path.join(folder, 'agent-data.json');
    await saveAgentData(folder, EMPTY_AGENT_DATA);
    expect(readFileSync(file, 'utf8')).toBe(
      '{"svid":null,"bundle":null,"reattestable":false,"bootstrap_use":0,' +
        '"bootstrap_start_time":"0001-01-01T00:00:00Z","connection_attempts":0}',
    );
    await saveAgentData(folder, full);
    expect(readFileSync(file, 'utf8')).toBe(
      `{"svid":["${inFile(leaf.der)}","${inFile(ca.der)}"],"bundle":["${inFile(ca.der)}"],"reattestable":true,` +
        '"bootstrap_use":2,"bootstrap_start_time":"2026-01-02T03:04:05Z","connection_attempts":3}',
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('gives back what was saved', async () => {
    const folder = scratchFolder();
    await saveAgentData(folder, full);
    expect(await loadAgentData(folder)).toEqual(full);
  });

  it.each([
    ['no JSON', '{"svid":', 'not JSON'],
    ['another kind of JSON', '[]', 'not a JSON object'],
    ['a chain that is no list', '{"svid":"x"}', 'svid is not a list'],
    ['a certificate that is no text', '{"bundle":[1]}', 'bundle[0] is not text'],
    ['a certificate that is none', '{"svid":["AAAA"]}', 'svid[0]: no PEM blocks found'],
    ['an unknown use', '{"bootstrap_use":3}', 'bootstrap_use is none of 0, 1, 2'],
    ['a time that is none', '{"bootstrap_start_time":"today"}', 'bootstrap_start_time is not a time'],
    ['a count that is none', '{"connection_attempts":1.5}', 'connection_attempts is not a whole number'],
  ])('refuses %s, naming the file and the remedy', async (_what, text, why) => {
    const folder = scratchFolder();
    const file = path.join(folder, 'agent-data.json');
    writeFileSync(file, text);
    await expect(loadAgentData(folder)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(
        new RegExp(`^${file} is malformed: .*; when the file is deleted the agent attests`),
      ),
    });
    await expect(loadAgentData(folder)).rejects.toThrow(why);
  });

  it('loses no change of two that are made at once', async () => {
    const folder = scratchFolder();
    const store = await openAgentStore(folder);
    await Promise.all([
      store.update((data) => ({ ...data, bundle: [ca.der] })),
      store.update((data) => ({ ...data, svid: [leaf.der] })),
    ]);
    expect(store.data).toMatchObject({ svid: [leaf.der], bundle: [ca.der] });
    expect(await loadAgentData(folder)).toEqual(store.data);
  });
});
