import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Daemon, eventually, fileText, freePort, makeSite, run, type Site } from '../support/daemons.ts';
import { scratchFolder } from '../support/scratch.ts';

/*
 * What a newcomer does wrong in the first hour. Each mistake must end in a message that names what was wrong, where, and
 * what to do next.
 */
const folder = scratchFolder();
const sites: Site[] = [];
let count = 0;

async function site(): Promise<Site> {
  count += 1;
  const own = path.join(folder, String(count));
  mkdirSync(own);
  const made = await makeSite(own);
  sites.push(made);
  return made;
}

/** Writes a variant of one of the site's configuration files and returns its path. */
function variant(of: Site, name: 'server.conf' | 'agent.conf', change: (text: string) => string): string {
  const file = path.join(of.folder, `changed-${name}`);
  writeFileSync(file, change(fileText(of.folder, name)));
  return file;
}

afterEach(async () => {
  for (const one of sites.splice(0)) await one.stop();
});

describe('configuration', () => {
  it.each([
    ['spire-server', 'conf/server/server.conf'],
    ['spire-agent', 'conf/agent/agent.conf'],
  ])('%s without a configuration names the file it looked for and the flag', async (program, file) => {
    const result = await run(program, ['run'], { cwd: folder });
    expect(result).toMatchObject({
      code: 1,
      err: `could not find config file ${path.join(folder, file)}: please use the -config flag\n`,
    });
  });

  it('reports every mistake at once, each with file, line and key', async () => {
    const { folder: own } = await site();
    const file = path.join(own, 'bad.conf');
    writeFileSync(
      file,
      'server {\n  trust_domain = "Example.ORG"\n  ca_ttl = "1d"\n  bind_prot = 8081\n  data_dir = "/tmp/x"\n}\nplugins {\n  DataStore "sql" { plugin_data {} }\n  KeyManager "disc" {}\n}\n',
    );
    const { code, err } = await run('spire-server', ['run', '-config', file]);
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`${file}:2: server\\.trust_domain: `));
    expect(err).toMatch(new RegExp(`${file}:3: server\\.ca_ttl: `));
    expect(err).toMatch(new RegExp(`${file}:4: .*bind_prot.*bind_port`));
    expect(err).toMatch(new RegExp(`${file}:9: keymanager\\(disc\\): no built-in plugin`));
  });

  it('validate says that a good file is good, and what is wrong with a bad one', async () => {
    const { folder: own } = await site();
    const server = await run('spire-server', ['validate', '-config', path.join(own, 'server.conf')]);
    expect(server).toMatchObject({ code: 0, out: 'SPIRE server configuration file is valid.\n' });
    const agent = await run('spire-agent', ['validate', '-config', path.join(own, 'agent.conf')]);
    expect(agent).toMatchObject({ code: 0, out: 'SPIRE agent configuration file is valid.\n' });
    writeFileSync(path.join(own, 'broken.conf'), 'server {');
    const broken = await run('spire-server', ['validate', '-config', path.join(own, 'broken.conf')]);
    expect(broken.code).toBe(1);
    expect(broken.err).toMatch(/^SPIRE server configuration file is invalid: .*broken\.conf:1/);
  });

  it('names the plugins there are when one does not exist', async () => {
    const one = await site();
    const file = variant(one, 'server.conf', (text) => text.replace('KeyManager "disk"', 'KeyManager "disc"'));
    const { code, err } = await run('spire-server', ['run', '-config', file]);
    expect(code).toBe(1);
    expect(err).toMatch(/keymanager\(disc\): no built-in plugin/);
    expect(err).toMatch(/disk.*memory|memory.*disk/);
  });
});

describe('the server', () => {
  it('says which address another process has taken', async () => {
    const one = await site();
    const other = net.createServer().listen(one.port, '127.0.0.1');
    await once(other, 'listening');
    one.server.start();
    expect(await one.server.ended()).toBe(1);
    expect(one.server.output).toContain(`cannot listen on 127.0.0.1:${one.port}`);
    other.close();
  });

  it('does not touch a socket that another server serves', async () => {
    const one = await site();
    await one.startServer();
    const config = fileText(one.folder, 'server.conf').replaceAll(`${one.folder}/server`, `${one.folder}/other`);
    mkdirSync(path.join(one.folder, 'other'));
    const file = path.join(one.folder, 'other.conf');
    writeFileSync(file, config.replace(`"${one.port}"`, `"${await freePort()}"`));
    const second = await run('spire-server', ['run', '-config', file]);
    expect(second.code).toBe(1);
    expect(second.out + second.err).toContain('another process is serving it');
    expect((await one.serverCommand('healthcheck')).out).toBe('Server is healthy.\n');
  });

  it('refuses data of another trust domain', async () => {
    const one = await site();
    await one.startServer();
    const agent = await one.attestAgent();
    await one.serverCommand(
      'entry',
      'create',
      '-parentID',
      agent,
      '-spiffeID',
      'spiffe://example.org/x',
      '-selector',
      'unix:uid:1',
    );
    await one.stop();
    const file = variant(one, 'server.conf', (text) => text.replace('"example.org"', '"other.org"'));
    const { code, out, err } = await run('spire-server', ['run', '-config', file]);
    expect(code).toBe(1);
    expect(out + err).toMatch(/example\.org/);
    expect(out + err).toMatch(/other\.org/);
  });
});

describe('the command line', () => {
  it('tells which socket it could not reach', async () => {
    const one = await site();
    const server = await one.serverCommand('entry', 'show');
    expect(server.code).toBe(1);
    expect(server.err).toMatch(/^Error: error fetching entries: rpc error: code = Unavailable desc = /);
    expect(server.err).toContain(one.serverSocket);
    const agent = await one.agentCommand('api', 'fetch', 'x509');
    expect(agent.code).toBe(1);
    expect(agent.err).toMatch(/^rpc error: code = Unavailable desc = /);
    expect(agent.err).toContain(one.agentSocket);
    expect((await one.serverCommand('healthcheck')).err).toBe(
      'Error: server is unhealthy: unable to determine health\n',
    );
    expect((await one.agentCommand('healthcheck')).err).toBe('Agent is unhealthy: unable to determine health\n');
  });

  it('refuses entries that make no sense, and says which part', async () => {
    const one = await site();
    await one.startServer();
    const create = (...args: string[]) => one.serverCommand('entry', 'create', ...args);
    const parent = ['-parentID', 'spiffe://example.org/spire/agent/x'];
    const id = ['-spiffeID', 'spiffe://example.org/x'];
    const selector = ['-selector', 'unix:uid:1'];
    expect((await create(...id, ...selector)).err).toBe('Error: a parent ID is required if the node flag is not set\n');
    expect((await create(...parent, ...selector)).err).toBe('Error: a SPIFFE ID is required\n');
    expect((await create(...parent, ...id)).err).toBe('Error: at least one selector is required\n');
    expect((await create(...parent, ...id, '-selector', 'bad')).err).toBe(
      'Error: selector "bad" must be formatted as type:value\n',
    );
    expect((await create('-parentID', 'nope', ...id, ...selector)).err).toBe('Error: scheme is missing or invalid\n');
    const foreign = await create('-parentID', 'spiffe://other.org/spire/agent/x', ...id, ...selector);
    expect(foreign.code).toBe(1);
    expect(foreign.err).toContain(
      String.raw`\"spiffe://other.org/spire/agent/x\" is not a member of trust domain \"example.org\"`,
    );
    expect(foreign.err).toMatch(/Error: failed to create one or more entries\n$/);
  });

  it('answers unknown commands and flags with what there is', async () => {
    const unknown = await run('spire-server', ['entyr']);
    expect(unknown.code).toBe(127);
    expect(unknown.err).toContain('entry');
    const flag = await run('spire-server', ['entry', 'show', '-badflag']);
    expect(flag.code).toBe(1);
    expect(flag.err).toMatch(/^flag provided but not defined: -badflag\n/);
  });
});

describe('the agent', () => {
  it('says that the server cannot be reached, and where it looked', async () => {
    const one = await site();
    writeFileSync(path.join(one.folder, 'bundle.pem'), await somePem());
    one.agent.start(['-joinToken', 'x']);
    await eventually('the message', () => expect(one.agent.output).toContain(`127.0.0.1:${one.port}`));
    expect(one.agent.running).toBe(true);
  });

  it('names a bundle file that is not there or holds no certificate', async () => {
    const one = await site();
    one.agent.start(['-joinToken', 'x']);
    await eventually('the message', () => expect(one.agent.output).toContain(path.join(one.folder, 'bundle.pem')));
  });

  it('says that a join token is missing', async () => {
    const one = await site();
    writeFileSync(path.join(one.folder, 'bundle.pem'), await somePem());
    one.agent.start();
    await eventually('the message', () => expect(one.agent.output).toContain('join token was not provided'));
  });

  it('refuses a server of another trust domain', async () => {
    const one = await site();
    await one.startServer();
    writeFileSync(path.join(one.folder, 'bundle.pem'), (await one.serverCommand('bundle', 'show')).out);
    const file = variant(one, 'agent.conf', (text) => text.replace('"example.org"', '"other.org"'));
    const agent = new Daemon('spire-agent', ['run', '-config', file, '-joinToken', 'x']);
    agent.start();
    await eventually('the message', () => {
      const ids = 'unexpected ID "spiffe://example.org/spire/server"; expected "spiffe://other.org/spire/server"';
      expect(agent.output.replaceAll('\\"', '"')).toContain(ids);
    });
    await agent.stop('SIGKILL');
  });
});

/** A certificate of nobody: what a bundle file of another server would hold. */
async function somePem(): Promise<string> {
  const one = await site();
  await one.startServer();
  return (await one.serverCommand('bundle', 'show')).out;
}
