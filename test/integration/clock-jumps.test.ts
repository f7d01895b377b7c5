import { afterEach, describe, expect, it } from 'vitest';
import { createX509Source, type X509Source } from '../../client/index.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { authoritiesOf, eventually, makeSite, type Site, TRUST_DOMAIN } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';
import { findFaketime, settableClock, type SettableClock } from '../support/set-clock.ts';

// The clock of a machine is set, or stands still while it is suspended: server, agent and workload see it at once.

const faketime = findFaketime();
if (faketime === undefined) {
  console.warn('tests of processes whose clock is set skipped: libfaketime is not here (Debian package faketime)');
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Authorities are looked after every ten seconds, an agent that could not synchronise asks again after as much. */
const PATIENCE_MS = 45_000;
const TEST_MS = 150_000;

interface Scene {
  readonly site: Site;
  readonly time: SettableClock;
  readonly source: X509Source;
}

let scene: Scene;

/** A site of which a workload holds its SVID. */
async function open(agentTtl: string): Promise<Scene> {
  const folder = scratchFolder();
  const time = settableClock(faketime ?? '', folder);
  const agent = 'experimental { sync_interval = "1s" }';
  const site = await makeSite(folder, { server: `agent_ttl = "${agentTtl}"`, agent, env: time.env });
  await site.startServer();
  const parent = await site.attestAgent();
  const selector = `unix:uid:${process.geteuid?.() ?? 0}`;
  const entry = ['-parentID', parent, '-spiffeID', `spiffe://${TRUST_DOMAIN}/workload`, '-selector', selector];
  expect((await site.serverCommand('entry', 'create', ...entry)).code).toBe(0);
  const source = await createX509Source({
    ...{ address: `unix:${site.agentSocket}`, clock: time.clock, timeoutMs: PATIENCE_MS },
  });
  scene = { site, time, source };
  return scene;
}

afterEach(async () => {
  scene.source.close();
  await scene.site.stop();
});

/** How many lines of the daemons since `from` say this. */
function count(output: string, from: number, line: RegExp): number {
  return output
    .slice(from)
    .split('\n')
    .filter((one) => line.test(one)).length;
}

/** Waits until the workload holds an SVID that is valid now and has most of its life before it. */
async function untilFresh({ source, time }: Scene): Promise<void> {
  const now = time.clock.now();
  await eventually(
    'a fresh SVID',
    () => {
      const { notAfter, notBefore } = source.svid;
      expect(notBefore).toBeLessThanOrEqual(now);
      expect(notAfter - now).toBeGreaterThan(50 * MINUTE);
    },
    PATIENCE_MS,
  );
}

const rootsOf = ({ x509Bundles }: X509Source): number | undefined =>
  x509Bundles.get(parseTrustDomain(TRUST_DOMAIN))?.length;
const bundleOf = async ({ site }: Scene): Promise<ReturnType<typeof authoritiesOf>> =>
  authoritiesOf((await site.serverCommand('bundle', 'show', '-output', 'json')).out);
/** When the JWT-SVID was issued that the agent hands out now, Unix ms. */
async function jwtIssuedAt({ site }: Scene): Promise<number> {
  const { out } = await site.agentCommand('api', 'fetch', 'jwt', '-audience', 'peer');
  const payload = /\beyJ[\w-]+\.([\w-]+)\./.exec(out)?.[1] ?? '';
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { iat: number }).iat * 1000;
}
const agentsOf = async ({ site }: Scene): Promise<string> =>
  (await site.serverCommand('agent', 'list', '-output', 'json')).out;

describe.skipIf(faketime === undefined)('a clock that is set while everything runs', () => {
  it(
    'forward, past the half-life of SVIDs, then by an hour of suspend, and right again: all have new ones, nobody attests again',
    async () => {
      const { site, time } = await open('24h');
      const before = { bundle: await bundleOf(scene), id: JSON.parse(await agentsOf(scene)).agents[0].id };
      for (const offset of [40 * MINUTE, 40 * MINUTE + HOUR]) {
        time.set(offset);
        await untilFresh(scene);
      }
      expect(await bundleOf(scene)).toEqual(before.bundle);
      expect(JSON.parse(await agentsOf(scene)).agents).toEqual([expect.objectContaining({ id: before.id })]);
      expect([site.server.running, site.agent.running]).toEqual([true, true]);
      expect((await site.agentCommand('healthcheck')).code).toBe(0);

      // That was wrong: what was issued meanwhile is not valid at the right time, and is not kept until it is.
      const ahead = await jwtIssuedAt(scene);
      time.set(0);
      await untilFresh(scene);
      expect(await jwtIssuedAt(scene)).toBeLessThan(ahead - HOUR);
    },
    TEST_MS,
  );

  it(
    'back by an hour and right again: the agent says what is wrong, asks with restraint, and all goes on',
    async () => {
      const { site, time } = await open('24h');
      const from = site.agent.output.length;
      time.set(-HOUR);
      await eventually(
        'an agent that sees it',
        () => {
          expect(site.agent.output.slice(from)).toMatch(
            /msg="Synchronize failed".* clock="behind, or ahead before: this agent's own SVID/,
          );
        },
        PATIENCE_MS,
      );
      await eventually(
        'an authority that is valid at that time',
        () => expect(count(site.server.output, 0, /X509 CA activated/)).toBe(2),
        PATIENCE_MS,
      );
      // The workload's stream stays, with what it has.
      expect(scene.source.svid.id).toBe(`spiffe://${TRUST_DOMAIN}/workload`);
      expect(count(site.agent.output, from, /Synchronize failed/)).toBeLessThan(30);
      time.set(0);
      await untilFresh(scene);
      const { x509 } = await bundleOf(scene);
      expect(x509).toHaveLength(2);
      await eventually(
        'both roots in the hands of the workload, as the agent has synchronised again',
        () => expect(rootsOf(scene.source)).toBe(2),
        PATIENCE_MS,
      );
    },
    TEST_MS,
  );

  it(
    'back while the agent is down: it says what is wrong when it starts',
    async () => {
      const { site, time } = await open('24h');
      await site.agent.stop();
      const from = site.agent.output.length;
      time.set(-HOUR);
      site.agent.start();
      await eventually(
        'an agent that sees it',
        () => {
          expect(site.agent.output.slice(from)).toMatch(
            /msg="Failed to initialize manager" clock="behind, or ahead before: this agent's own SVID is valid from/,
          );
        },
        PATIENCE_MS,
      );
    },
    TEST_MS,
  );

  it(
    'forward beyond the SVID of an agent that cannot attest again: it ends and says why',
    async () => {
      const { site, time } = await open('1h');
      time.set(HOUR + 2 * MINUTE);
      expect(await site.agent.ended()).toBe(1);
      expect(site.agent.output).toMatch(
        /msg="Agent needs to re-attest: removing SVID and shutting down".* reason=agent-expired/,
      );
      expect(site.agent.output).toMatch(/svid_expires_at=/);
    },
    TEST_MS,
  );
});
