import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectUnix } from '../../../common/rpc/client.ts';
import { agentService, entryService } from '../../../common/rpc/services.ts';
import { scratchFolder } from '../../support/scratch.ts';
import { attestBenchAgent, createEntries, deleteEntries } from '../seed/api.ts';
import { groupId, seedEntries, seedEntry } from '../seed/entries.ts';
import { seedFiles } from '../seed/sqlite.ts';
import { layOutSite } from './launch.ts';
import { LaunchedProcess, programIn } from './launch-process.ts';
import { untilServing } from './launch-ready.ts';

const bin = path.resolve(import.meta.dirname, '../../../bin');
const folder = scratchFolder();

describe('a program', () => {
  it('runs in this Node when it is a script of Node, with flags, and by itself otherwise', () => {
    const file = (name: string, text: string): void => {
      writeFileSync(path.join(folder, name), text);
      chmodSync(path.join(folder, name), 0o755);
    };
    file('script', '#!/usr/bin/env node\n');
    file('shell', '#!/bin/sh\nexec something\n');
    const script = path.join(folder, 'script');
    expect(programIn(folder, 'script', ['--flag'])).toEqual({ command: process.execPath, args: ['--flag', script] });
    expect(programIn(folder, 'shell', ['--flag'])).toEqual({ command: path.join(folder, 'shell'), args: [] });
    expect(() => programIn(folder, 'absent')).toThrow(/absent/);
  });

  it('that ends instead of serving is reported with the end of its log', async () => {
    const log = path.join(folder, 'log');
    const program = { command: process.execPath, args: ['-e', 'console.error("no such key"); process.exitCode = 7'] };
    const daemon = new LaunchedProcess('spire-server', { program, args: [], log });
    daemon.start();
    await expect(untilServing(daemon, 'server', path.join(folder, 'none.sock'), 60_000)).rejects.toThrow(
      /spire-server has ended \(exit code 7\)[\s\S]*no such key/,
    );
    expect(daemon.running).toBe(false);
  });
});

describe('a site', () => {
  it('serves seeded entries, and comes back with the same agent after both were stopped', {
    timeout: 120_000,
  }, async () => {
    await using site = await layOutSite({ bin });
    seedFiles(folder, site.trustDomain, Date.now).copyTo(site.at.database, 30);
    const started = await site.startServer();
    expect(started.healthyMs).toBeGreaterThanOrEqual(started.answeredMs);
    const admin = connectUnix(site.at.adminSocket);
    try {
      expect((await admin.call(entryService(), 'CountEntries', {})).count).toBe(30);
      // Made with another total, some of these are there already and others are not.
      await createEntries(admin, seedEntries(site.trustDomain, 40));
      expect((await admin.call(entryService(), 'CountEntries', {})).count).toBe(40);
      await deleteEntries(admin, [seedEntry(site.trustDomain, 0, 40).id, 'absent']);
      expect((await admin.call(entryService(), 'CountEntries', {})).count).toBe(39);

      const agent = await attestBenchAgent({ address: site.address, admin }, groupId(site.trustDomain, 0));
      expect(agent.id).toMatch(/^spiffe:\/\/bench\.example\/spire\/agent\/join_token\//);

      await site.startAgent();
      const agentId = await site.admitAgent();
      await site.agent.stop();
      await site.server.stop('SIGKILL');
      await site.startServer();
      await site.startAgent();
      expect(await site.admitAgent()).toBe(agentId);
      const { agents } = await admin.call(agentService(), 'ListAgents', {}, { timeoutMs: 10_000 });
      const ids = agents.map(({ id }) => `spiffe://${id?.trust_domain}${id?.path}`);
      expect(ids.toSorted()).toEqual([agent.id, agentId].toSorted());
    } finally {
      admin.close();
    }
  });
});
