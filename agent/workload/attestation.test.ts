import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../common/log/logger.ts';
import type { Peer } from '../../common/rpc/call.ts';
import type { WorkloadAttestor } from '../../plugins/workload-attestor/contract.ts';
import { formatSelector } from '../../spiffe/selector.ts';
import { workloadAttestation } from './attestation.ts';

const signal = new AbortController().signal;

function caller(isSame: () => boolean = () => true): Peer {
  return { transport: 'unix', process: { pid: 7, uid: 1, gid: 1, isSame, close: () => undefined } };
}

const tells = (...values: string[]): WorkloadAttestor => ({
  attest: async (pid) => values.map((value) => ({ type: 'x', value: `${value}:${pid}` })),
});
const fails: WorkloadAttestor = { attest: () => Promise.reject(new Error('cannot tell')) };

async function attest(attestors: Record<string, WorkloadAttestor>, peer = caller()): Promise<string[]> {
  const attestation = workloadAttestation({ attestors: new Map(Object.entries(attestors)), log: silentLogger });
  return (await attestation.attest(peer, signal)).map(formatSelector);
}

describe('workload attestation', () => {
  it('joins what all attestors tell of the PID, each selector once', async () => {
    expect(await attest({ a: tells('p', 'q'), b: tells('q', 'r') })).toEqual(['x:p:7', 'x:q:7', 'x:r:7']);
  });

  it('goes on when one attestor fails, and fails when all do', async () => {
    expect(await attest({ a: fails, b: tells('p') })).toEqual(['x:p:7']);
    await expect(attest({ a: fails, b: fails })).rejects.toMatchObject({
      code: 'unavailable',
      message: 'workload attestation failed',
    });
  });

  it('tells "nothing known" from "could not tell"', async () => {
    expect(await attest({ a: tells(), b: fails })).toEqual([]);
  });

  it('gives nothing to a process that ended or changed while it was looked at', async () => {
    let same = true;
    const slow: WorkloadAttestor = {
      attest: async () => {
        same = false;
        return [{ type: 'x', value: 'stolen' }];
      },
    };
    await expect(
      attest(
        { a: slow },
        caller(() => same),
      ),
    ).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('refuses callers that were not identified', async () => {
    await expect(attest({ a: tells('p') }, { transport: 'unix', process: undefined })).rejects.toThrow(
      'attestation failed',
    );
    const tcp: Peer = { transport: 'tcp', address: '127.0.0.1', port: 1, certificate: undefined };
    await expect(attest({ a: tells('p') }, tcp)).rejects.toThrow('attestation failed');
  });

  it('stops when the caller goes away', async () => {
    const gone = AbortSignal.abort();
    const attestation = workloadAttestation({ attestors: new Map([['a', tells('p')]]), log: silentLogger });
    await expect(attestation.attest(caller(), gone)).rejects.toMatchObject({ code: 'cancelled' });
  });
});
