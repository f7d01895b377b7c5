import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { workloadAttestation } from '../../agent/workload/attestation.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { listenUnix } from '../../common/net/unix-listener.ts';
import { createRpcServer } from '../../common/rpc/server.ts';
import { implement, loadService, serverStream } from '../../common/rpc/service.ts';
import { createUnixAttestor } from '../../plugins/workload-attestor/unix/unix.ts';
import type { SpiffeWorkloadAPIDefinition } from '../../proto/gen/workload/SpiffeWorkloadAPI.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { canChoosePids, spawnAs } from '../support/pids.ts';
import { scratchFolder } from '../support/scratch.ts';

const folder = scratchFolder();
const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

const service = loadService<SpiffeWorkloadAPIDefinition>('workload.proto', 'SpiffeWorkloadAPI');
const bin = path.resolve(import.meta.dirname, '../../bin/spire-agent');

/**
 * The whole way of a request, with the worst moment forced: while the agent is looking at its caller, the caller ends
 * and another program is started under its PID.
 */
async function attestWhile(happens: (caller: ChildProcess) => Promise<void>) {
  const attestor = createUnixAttestor({ discover_workload_path: true, workload_size_limit: -1 }, silentLogger, {
    ...{ proc: '/proc', passwd: '/etc/passwd', group: '/etc/group' },
  });
  let caller: ChildProcess | undefined;
  let told: readonly Selector[] = [];
  const attestation = workloadAttestation({
    log: silentLogger,
    attestors: new Map([
      [
        'unix',
        {
          async attest(pid, signal) {
            if (caller !== undefined) await happens(caller);
            told = await attestor.attest(pid, signal);
            return told;
          },
        },
      ],
    ]),
  });
  const outcome = new Promise<readonly Selector[] | Error>((resolve) => {
    const server = createRpcServer({
      interceptors: [],
      log: silentLogger,
      services: [
        implement(service, {
          FetchX509SVID: serverStream(async function* (_request, call) {
            // The caller's going away must not save the day: the verdict has to come from the kernel.
            const never = new AbortController().signal;
            resolve(await attestation.attest(call.peer, never).catch((error: Error) => error));
            yield {};
          }),
        }),
      ],
    });
    const socketPath = path.join(folder, `${started.length}-${Date.now()}.sock`);
    listenUnix({
      ...{ path: socketPath, mode: 0o777, directoryMode: 0o755, track: true, log: silentLogger },
      onSocket: (socket, peer) => server.accept(socket, peer),
    })
      .then(() => {
        caller = spawn(process.execPath, [bin, 'api', 'fetch', 'x509', '-socketPath', socketPath], { stdio: 'ignore' });
        return started.push(caller);
      })
      .catch(resolve);
  });
  return { outcome: await outcome, told };
}

describe('a workload that is attested', () => {
  const reuse = canChoosePids() ? it : it.skip;

  it('is told by its program when nothing happens', async () => {
    const { outcome } = await attestWhile(async () => undefined);
    expect(outcome).toContainEqual({ type: 'unix', value: `path:${readlinkSync('/proc/self/exe')}` });
  });

  reuse('gets nothing when another program has taken over its PID meanwhile', async () => {
    const { outcome, told } = await attestWhile(async (caller) => {
      caller.kill('SIGKILL');
      await once(caller, 'exit');
      started.push(await spawnAs(caller.pid ?? 0));
    });
    // The attestor was fooled, as anyone who goes by the PID is …
    expect(told.some(({ value }) => /^path:.*(sleep|coreutils|busybox)/.test(value))).toBe(true);
    // … and the agent was not.
    expect(outcome).toMatchObject({ code: 'unavailable', message: 'workload attestation failed' });
  });
});
