import { copyFile, link, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { messageOf } from '../../../common/errors.ts';
import { type DemoFiles, writeConfiguration } from './configuration.ts';
import { eventually, output, Processes } from './processes.ts';

/*
 * The main job, end to end, on this machine: a server and an agent as processes, two registered workloads that talk to
 * each other, one that is not registered. Every step is checked; the first that does not hold ends the demo.
 */
const TRUST_DOMAIN = 'demo.finial.dev';
const WEB = `spiffe://${TRUST_DOMAIN}/web`;
const CLIENT = `spiffe://${TRUST_DOMAIN}/client`;
/** Rotates when about half of it and the 10 s of backdating is left: about 5 s after it was signed. */
const WEB_TTL_SECONDS = 20;

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const bin = (name: string): string => path.resolve(here, '../../../../bin', name);
const started = Date.now();
let steps = 0;

function step(title: string, ...seen: readonly string[]): void {
  steps += 1;
  console.log(`${String(steps).padStart(2)}. ${title}`);
  for (const line of seen) console.log(`      ${line}`);
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`expected ${what}`);
}

async function main(keep: boolean): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'finial-demo-'));
  const processes = new Processes();
  let ok = false;
  try {
    const files = await writeConfiguration(folder, TRUST_DOMAIN);
    await runSteps(processes, files);
    ok = true;
    console.log(`demo ok: ${steps} steps in ${((Date.now() - started) / 1000).toFixed(1)} seconds`);
    if (keep) await linger(files);
  } finally {
    await processes.stop();
    if (ok) await rm(folder, { recursive: true, force: true });
    else console.error(`logs and data are left in ${folder}`);
  }
}

async function runSteps(processes: Processes, files: DemoFiles): Promise<void> {
  const server = (...args: string[]): Promise<string> =>
    output(process.execPath, [bin('spire-server'), ...args, '-socketPath', files.serverSocket]);

  processes.daemon(process.execPath, [bin('spire-server'), 'run', '-config', files.serverConfig], files.serverLog);
  step('the server is up', (await eventually('the server', () => server('healthcheck'))).trim());

  await writeFile(files.bundle, await server('bundle', 'show'));
  const token = /Token: (\S+)/.exec(
    await server('token', 'generate', '-spiffeID', `spiffe://${TRUST_DOMAIN}/node`),
  )?.[1];
  check(token !== undefined, 'a join token');
  step('a single-use join token was made for the node');

  const agentArgs = [bin('spire-agent'), 'run', '-config', files.agentConfig, '-joinToken', token ?? ''];
  processes.daemon(process.execPath, agentArgs, files.agentLog);
  const health = ['healthcheck', '-socketPath', files.agentSocket];
  await eventually('the agent', () => output(process.execPath, [bin('spire-agent'), ...health]));
  const agentId = /SPIFFE ID +: (\S+)/.exec(await server('agent', 'list'))?.[1] ?? '';
  check(agentId.includes('/spire/agent/join_token/'), 'the agent in the list of attested agents');
  step('the agent attested with it and serves the Workload API', agentId);

  const programs = await makePrograms(files.folder);
  const register = (id: string, program: string, ...more: string[]): Promise<string> =>
    server('entry', 'create', '-parentID', agentId, '-spiffeID', id, '-selector', `unix:path:${program}`, ...more);
  await register(WEB, programs.web, '-x509SVIDTTL', String(WEB_TTL_SECONDS));
  await register(CLIENT, programs.client);
  step(
    'two workloads are registered by the path of their program',
    `${WEB}     ${programs.web}`,
    `${CLIENT}  ${programs.client}`,
  );
  await runWorkloads(processes, files, programs);
}

/** A program of its own for each workload: this Node under three names, since the path of a program tells it apart. */
async function makePrograms(folder: string): Promise<Record<'web' | 'client' | 'stranger', string>> {
  const make = async (name: string): Promise<string> => {
    const program = path.join(folder, name);
    // A hard link is instant but needs the same file system.
    await link(process.execPath, program).catch(() => copyFile(process.execPath, program));
    return program;
  };
  return { web: await make('web'), client: await make('client'), stranger: await make('stranger') };
}

async function runWorkloads(
  processes: Processes,
  files: DemoFiles,
  programs: Record<'web' | 'client' | 'stranger', string>,
): Promise<void> {
  const env = { SPIFFE_ENDPOINT_SOCKET: `unix://${files.agentSocket}` };
  const web = processes.worker(programs.web, [path.join(here, 'web.js'), CLIENT], env);
  const first = await web.next('identity');
  check(first['id'] === WEB, `${WEB}, got ${String(first['id'])}`);
  step('the first workload got its X509-SVID over the socket', `${WEB}, serial ${String(first['serial'])}`);
  const port = String((await web.next('listening'))['port']);

  const call = (expected: string, audience: string) =>
    processes.worker(programs.client, [path.join(here, 'client.js'), port, expected, audience], env);
  const client = call(WEB, WEB);
  const second = await client.next('identity');
  check(second['id'] === CLIENT, `${CLIENT}, got ${String(second['id'])}`);
  step('the second workload got its own', `${CLIENT}, serial ${String(second['serial'])}`);

  const answer = await client.next('answer');
  check(answer['peer'] === WEB, `to have talked to ${WEB}`);
  check((await web.next('peer'))['id'] === CLIENT, `${CLIENT} at the other end`);
  check(answer['answer'] === `hello ${CLIENT}, your token says ${CLIENT}`, 'the token to be accepted');
  step(
    `they talked over mutual ${String(answer['protocol'])}, each checking the other's SPIFFE ID`,
    `${CLIENT} <-> ${WEB}`,
  );
  step('a JWT-SVID was fetched by one and validated for the other', String(answer['answer']));

  const wrongAudience = await call(WEB, 'somebody-else').next('answer');
  check(String(wrongAudience['answer']).startsWith('token refused: expected audience'), 'the audience to be checked');
  step('a JWT-SVID for another audience is refused', String(wrongAudience['answer']));

  const wrongPeer = await call(`spiffe://${TRUST_DOMAIN}/bank`, WEB).next('failed');
  check(/not authorized/.test(String(wrongPeer['why'])), 'the wrong peer to be refused');
  step('a server that is not the one expected is refused', String(wrongPeer['why']));

  const rotated = await web.next('rotated');
  check(rotated['id'] === WEB && rotated['serial'] !== first['serial'], 'a new certificate for the same identity');
  step('its X509-SVID rotated under the open stream', `${String(first['serial'])} -> ${String(rotated['serial'])}`);
  const again = await call(WEB, WEB).next('answer');
  check(again['peer'] === WEB, 'the rotated certificate to be accepted');
  step('the running server presents the new one', `connected to ${String(again['peer'])}`);

  const stranger = processes.worker(programs.stranger, [path.join(here, 'stranger.js')], env);
  const refusal = await stranger.next('refused');
  check(refusal['code'] === 'permission-denied', 'the stranger to be refused');
  const pid = `pid=${stranger.child.pid} `;
  const why = await eventually('the reason in the log', () => reasonIn(files.agentLog, pid));
  step(
    'a process that nobody registered is refused',
    `to the process: ${String(refusal['why'])}`,
    `to the operator: ${why}`,
  );
}

async function reasonIn(log: string, pid: string): Promise<string> {
  const line = (await readFile(log, 'utf8'))
    .split('\n')
    .find((one) => one.includes('No identity issued') && one.includes(pid));
  if (line === undefined) throw new Error('not logged yet');
  return line.replace(/^time=\S+ /, '');
}

async function linger(files: DemoFiles): Promise<void> {
  const server = `${bin('spire-server')} entry show -socketPath ${files.serverSocket}`;
  const agent = `${bin('spire-agent')} api fetch x509 -socketPath ${files.agentSocket}`;
  console.log(`\nStill running in ${files.folder}. Try:\n\n  ${server}\n  ${agent}\n  tail -f ${files.agentLog}\n`);
  console.log('Ctrl-C stops it.');
  // Signal listeners do not keep a process alive; the timer does until one comes.
  const alive = setInterval(() => undefined, 60_000);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  clearInterval(alive);
}

const args = process.argv.slice(2);
const unknown = args.filter((one) => !/^--?keep$/.test(one));
if (unknown.length > 0) {
  console.error(`unknown argument ${unknown.join(' ')}; the demo knows only -keep`);
  process.exitCode = 2;
} else {
  await main(args.length > 0).catch((error: unknown) => {
    console.error(`demo failed after step ${steps}: ${messageOf(error)}`);
    process.exitCode = 1;
  });
}
