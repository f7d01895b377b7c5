import { expect, it } from 'vitest';
import { eventually, makeSite } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';
it('x', async () => {
  const site = await makeSite(scratchFolder());
  await site.startServer();
  const id = await site.attestAgent();
  await site.serverCommand('entry','create','-parentID',id,'-spiffeID','spiffe://example.org/w','-selector',`unix:uid:0`);
  await eventually('id', async () => { expect((await site.agentCommand('api','fetch','x509')).code).toBe(0); });
  await site.server.stop('SIGKILL');
  const pending = site.agentCommand('api','fetch','jwt','-audience','x','-timeout','60s');
  await new Promise((r) => setTimeout(r, 2500));
  const t = Date.now();
  const code = await site.agent.stop('SIGTERM');
  console.log('EXIT', code, Date.now() - t, 'ms');
  console.log(await pending);
  await site.stop();
}, 90_000);
