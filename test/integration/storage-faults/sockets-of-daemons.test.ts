import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Daemon, eventually, makeSite, type Site } from '../../support/daemons.ts';
import { scratchFolder } from '../../support/scratch.ts';

// SPIRE deletes whatever is at the path: files, folders, the socket of another process at its start and at its end.

const folder = scratchFolder();
let site: Site;
beforeAll(async () => {
  site = await makeSite(folder);
  await site.startServer();
  await site.attestAgent();
});
afterAll(() => site.stop());

async function answer(file: string): Promise<string> {
  let text = '';
  for await (const part of net.connect(file)) text += String(part);
  return text;
}

/** Listens as somebody else, who does not mind being looked at. */
async function listenAt(file: string): Promise<net.Server> {
  const server = net.createServer((socket) =>
    socket
      .on('error', () => undefined)
      .resume()
      .end('theirs'),
  );
  await new Promise<void>((resolve) => server.listen(file, resolve));
  return server;
}

/** Starts a daemon whose socket path is taken, and gives what it said when it gave up. */
async function refused(daemon: Daemon): Promise<string> {
  const began = daemon.output.length;
  daemon.start();
  expect(await daemon.ended()).toBe(1);
  return daemon.output.slice(began);
}

describe('the sockets of running daemons', () => {
  it('are made anew, with a warning, when they were deleted', async () => {
    const sockets = [site.serverSocket, site.agentSocket];
    const modes = sockets.map((socket) => lstatSync(socket).mode);
    for (const socket of sockets) rmSync(path.dirname(socket), { recursive: true });
    await eventually('sockets', () => expect(sockets.map((socket) => lstatSync(socket).mode)).toEqual(modes));
    await eventually('answers', async () => {
      expect((await site.serverCommand('healthcheck')).code).toBe(0);
      expect((await site.agentCommand('healthcheck')).code).toBe(0);
    });
    for (const { output } of [site.server, site.agent]) {
      expect(output).toMatch(
        /level=warning msg="Socket file was deleted by someone else; it is made anew".*path=\S+api\.sock/,
      );
    }
  });

  it('are left to who took them, now, at the end and at the next start, whatever is there', async () => {
    // The agent first, as it cannot start without a server.
    const parts = [
      { daemon: site.agent, socket: site.agentSocket, restart: () => site.restartAgent() },
      { daemon: site.server, socket: site.serverSocket, restart: () => site.startServer() },
    ];
    const thieves: net.Server[] = [];
    try {
      for (const { socket } of parts) {
        rmSync(socket);
        thieves.push(await listenAt(socket));
      }
      for (const { daemon, socket } of parts) {
        const taken = `cannot listen on ${socket}: another process is serving it`;
        await eventually('an error', () =>
          expect(daemon.output).toMatch(new RegExp(`level=error msg="Nobody can connect.*${taken}`)),
        );
        expect(daemon.running).toBe(true);
        expect(await daemon.stop()).toBe(0);
        expect(await answer(socket)).toBe('theirs');
        expect(await refused(daemon)).toContain(taken);
        expect(await answer(socket)).toBe('theirs');
      }
    } finally {
      await Promise.all(thieves.map((thief) => new Promise((resolve) => thief.close(resolve))));
    }
    for (const { daemon, restart, socket } of parts.toReversed()) {
      for (const put of [() => writeFileSync(socket, 'precious'), () => mkdirSync(socket)]) {
        put();
        const { ino } = lstatSync(socket);
        expect(await refused(daemon)).toContain(`cannot listen on ${socket}: a file that is no socket is in the way`);
        expect(lstatSync(socket).ino).toBe(ino);
        rmSync(socket, { recursive: true });
      }
      await restart();
    }
  }, 60_000);
});
