import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FinialError } from '../common/errors.ts';
import { scratchFolder } from '../test/support/scratch.ts';
import { createJwtSource } from './jwt-source.ts';
import { createFakeWorkloadApi } from './testing/index.ts';
import { workloadApi } from './workload-api.ts';
import { createX509Source } from './x509-source.ts';

// Agents that do what no agent should. The rest of it: workload-api.test.ts, follow.test.ts, test/conformance.

const folder = scratchFolder();
const backoff = { initial: 1, factor: 1, max: 1, jitter: 0 };

/** Resolves once `look` gives true, asked after each update and error. */
function until(source: Awaited<ReturnType<typeof createX509Source>>, look: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const remove = [source.onUpdate(() => check()), source.onError(() => check())];
    const check = (): void => {
      if (!look()) return;
      for (const one of remove) one();
      resolve();
    };
    check();
  });
}

describe('a source', () => {
  it('ends up with the newest of a flood of updates, and hears of none once it is closed', async () => {
    await using fake = await createFakeWorkloadApi();
    await fake.issue('spiffe://example.org/w');
    const source = await createX509Source({ address: fake.address });
    let updates = 0;
    source.onUpdate(() => void (updates += 1));
    for (let i = 0; i < 200; i += 1) await fake.renew();
    const newest = fake.svids[0]?.chain[0];
    await until(source, () => newest !== undefined && source.svid.chain[0]?.equals(newest) === true);
    expect(updates).toBeLessThanOrEqual(200);
    source.close();
    const before = updates;
    await fake.renew();
    await fake.restart();
    expect(updates).toBe(before);
    expect(() => source.svid).toThrow('closed');
  });

  it('survives thousands of restarts without keeping anything of them', async () => {
    await using fake = await createFakeWorkloadApi();
    await fake.issue('spiffe://example.org/w');
    using source = await createX509Source({ address: fake.address, backoff });
    let [starts, ends] = [0, 0];
    source.onUpdate(() => void (starts += 1));
    source.onError(() => void (ends += 1));
    const handles = (): number => process.getActiveResourcesInfo().length;
    const before = handles();
    for (let round = 1; round <= 1000; round += 1) {
      fake.breakStreams('unavailable');
      await until(source, () => starts === round);
    }
    expect(ends).toBe(1000);
    expect(source.svid.id).toBe('spiffe://example.org/w');
    expect(handles()).toBeLessThan(before + 20);
  }, 30_000);

  it('follows a process that becomes somebody else, and never mixes the two', async () => {
    await using fake = await createFakeWorkloadApi();
    const first = await fake.issue('spiffe://example.org/first');
    using source = await createX509Source({ address: fake.address });
    const second = await fake.issue('spiffe://example.org/second');
    fake.setX509({ svids: [second] });
    await until(source, () => source.svid.id === second.id);
    expect(source.svids.map(({ id }) => id)).toEqual([second.id]);
    expect(source.svid.chain[0]).not.toEqual(first.chain[0]);
  });

  it('takes nothing from garbage, and goes on when the agent comes to its senses', async () => {
    await using fake = await createFakeWorkloadApi();
    await fake.issue('spiffe://example.org/w');
    const errors: string[] = [];
    const onError = ({ code }: FinialError): void => void errors.push(code);
    using source = await createX509Source({ address: fake.address, backoff, onError });
    let updates = 0;
    source.onUpdate(() => void (updates += 1));
    // No message at all, and ones that can be read but say nothing: the first kind costs the stream.
    for (const [bytes, isMessage] of [
      [[0xff], false],
      [[0x0a, 0x7f, 0x01], false],
      [[0x0a, 0x02, 0x0a, 0x00], true],
      [[], true],
    ] as const) {
      const [errorsBefore, updatesBefore] = [errors.length, updates];
      const held = source.svid;
      fake.sendRaw('FetchX509SVID', Buffer.from(bytes));
      await until(source, () => errors.length > errorsBefore);
      expect(source.svid).toBe(held);
      if (!isMessage) await until(source, () => updates > updatesBefore);
    }
    expect(errors).toEqual(['internal', 'internal', 'data-loss', 'data-loss']);
    const held = source.svid;
    fake.recover();
    await fake.renew();
    await until(source, () => source.svid !== held);
    expect(source.svid.id).toBe('spiffe://example.org/w');
  });

  it('is given up while it waits, by its caller or by its time, and leaves nothing open', async () => {
    await using fake = await createFakeWorkloadApi();
    fake.silence();
    const stop = new AbortController();
    const given = createX509Source({ address: fake.address, signal: stop.signal });
    const late = createX509Source({ address: fake.address, timeoutMs: 30 });
    const refused = createJwtSource({ address: fake.address, timeoutMs: 30 });
    await fake.waitForCalls('FetchX509SVID', 2);
    stop.abort();
    await expect(given).rejects.toMatchObject({ code: 'cancelled' });
    await expect(late).rejects.toMatchObject({ code: 'deadline-exceeded' });
    await expect(refused).rejects.toMatchObject({ code: 'deadline-exceeded' });
    while (fake.streamCount('FetchX509SVID') > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('shares a connection, and does not end that of the others', async () => {
    await using fake = await createFakeWorkloadApi();
    await fake.issue('spiffe://example.org/w');
    using api = workloadApi({ address: fake.address });
    const sources = await Promise.all(Array.from({ length: 50 }, () => createX509Source({ api })));
    for (const one of sources.slice(1)) one.close();
    const [left] = sources;
    if (left === undefined) expect.fail();
    const before = left.svid;
    await fake.renew();
    await until(left, () => left.svid !== before);
    left.close();
    await expect(api.x509.fetch()).resolves.toMatchObject({ svids: [{ id: 'spiffe://example.org/w' }] });
  });
});

describe('an address', () => {
  it.each([
    ['a file', (file: string) => writeFileSync(file, 'x')],
    ['a folder', (file: string) => mkdirSync(file)],
    ['nothing', () => undefined],
  ])('of %s is nobody, at once', async (what, make) => {
    const file = path.join(folder, what.replace(' ', '-'));
    make(file);
    using api = workloadApi({ address: `unix://${file}` });
    await expect(api.x509.fetch()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(api.fetchJwtSvids({ audience: ['a'] })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('of somebody who takes connections and never speaks costs no more than the time of the call', async () => {
    const file = path.join(folder, 'mute');
    const sockets = new Set<net.Socket>();
    const mute = net.createServer((socket) => void sockets.add(socket.on('error', () => undefined))).listen(file);
    using api = workloadApi({ address: `unix://${file}` });
    const timeoutMs = 50;
    await expect(api.x509.fetch({ timeoutMs })).rejects.toMatchObject({ code: 'deadline-exceeded' });
    await expect(api.fetchJwtSvids({ audience: ['a'] }, { timeoutMs })).rejects.toMatchObject({
      code: 'deadline-exceeded',
    });
    await expect(api.validateJwtSvid('x', 'a', { timeoutMs })).rejects.toMatchObject({ code: 'deadline-exceeded' });
    mute.close();
    for (const socket of sockets) socket.destroy();
  });

  it('of somebody who speaks another protocol is no agent', async () => {
    const file = path.join(folder, 'http');
    const other = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
    });
    other.listen(file);
    using api = workloadApi({ address: `unix://${file}` });
    await expect(api.x509.fetch()).rejects.toMatchObject({ code: 'unavailable' });
    other.close();
  });
});
