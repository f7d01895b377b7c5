import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, fileText, freePort, makeSite, type Site } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';

let site: Site | undefined;
afterEach(() => site?.stop());

/** Adds a `health_checks` block to one of the site's files. */
async function withHealth(one: Site, name: 'server.conf' | 'agent.conf'): Promise<number> {
  const port = await freePort();
  const block = `health_checks { listener_enabled = true bind_address = "127.0.0.1" bind_port = "${port}" }\n`;
  writeFileSync(path.join(one.folder, name), fileText(one.folder, name) + block);
  return port;
}

const get = async (port: number, page: string): Promise<{ status: number; body: string }> => {
  const response = await fetch(`http://127.0.0.1:${port}${page}`);
  return { status: response.status, body: await response.text() };
};

describe('health checks over HTTP', () => {
  it('answer for server and agent by subsystem, and for an agent that is still waiting for its server', async () => {
    site = await makeSite(scratchFolder());
    const one = site;
    const [server, agent] = [await withHealth(one, 'server.conf'), await withHealth(one, 'agent.conf')];
    await one.startServer();
    await eventually('a healthy server', async () => {
      const healthy = '{"catalog.datastore":{},"server":{},"server.ca":{},"server.ca.rotator":{}}\n';
      expect(await get(server, '/ready')).toEqual({ status: 200, body: healthy });
      expect(await get(server, '/live')).toEqual({ status: 200, body: healthy });
    });
    expect((await get(server, '/other')).status).toBe(404);

    writeFileSync(path.join(one.folder, 'bundle.pem'), (await one.serverCommand('bundle', 'show')).out);
    one.agent.start(['-joinToken', 'no-such-token']);
    await eventually('an agent that is not ready', async () => {
      expect((await get(agent, '/ready')).status).toBe(500);
      expect(await get(agent, '/live')).toEqual({ status: 200, body: '{"agent":{}}\n' });
    });
    await one.agent.stop('SIGKILL');
    await one.attestAgent();
    await eventually('a healthy agent', async () => {
      expect(await get(agent, '/ready')).toEqual({ status: 200, body: '{"agent":{}}\n' });
    });
  }, 60_000);
});
