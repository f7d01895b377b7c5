import { describe, expect, it } from 'vitest';
import { createFakeWorkloadApi, createTestAuthority } from '../../../client/testing/index.ts';
import { workloadService } from '../../../common/rpc/services.ts';
import { parseSpiffeId } from '../../../spiffe/id.ts';
import { ratioLine, ratioText } from '../compare.ts';
import { newLatencies } from '../histogram.ts';
import { runLoad } from '../load/run.ts';
import { resultLine, warningsOf } from '../table.ts';
import { encodeRequest, judgeJwtSvid, judgeX509Svid, keyedCsrs, pathOfMethod } from './messages.ts';
import { judgeUpdate } from './self.ts';

// A product that answers fast and wrong must not look fast: what the bench verifies, given answers that are not right.

const ID = 'spiffe://bench.example/bench/self';
const DAY_MS = 86_400_000;
const yesterday = { issuedAt: Date.now() - DAY_MS } as const;
const authority = await createTestAuthority('bench.example');
const stranger = await createTestAuthority('bench.example');
const identity = { id: parseSpiffeId(ID), entryIds: [], bundle: authority.bundle };

/** What a judge says, whether it returns or throws it. */
async function said(judge: () => Promise<string | undefined> | string | undefined): Promise<string | undefined> {
  try {
    return await judge();
  } catch (error) {
    return String(error);
  }
}

describe('an X.509-SVID in an answer', () => {
  const judged = async (issuer: typeof authority, id: string, options = {}): Promise<string | undefined> => {
    const svid = await issuer.issueX509(id, options);
    return said(() => judgeX509Svid(svid.chain, ID, authority.bundle));
  };

  it('is right by its ID, its time, its chain and its key', async () => {
    expect(await judged(authority, ID)).toBeUndefined();
    expect(await judged(authority, `${ID}/other`)).toMatch(/an SVID for .*other instead of/);
    expect(await judged(authority, ID, yesterday)).toMatch(/expired|no longer valid|not valid/);
    expect(await judged(stranger, ID)).toMatch(/invalid-x509-svid|untrusted|not signed|chain|authorit/i);
    const svid = await authority.issueX509(ID);
    const [csr] = await keyedCsrs(1);
    const chain = svid.chain;
    expect(judgeX509Svid(chain, ID, authority.bundle, csr)).toMatch(/another key than that of its CSR/);
  });
});

describe('a JWT-SVID in an answer', () => {
  it('is right by its ID, its audience, its time and its signature', async () => {
    const judge = (token: string) => said(() => judgeJwtSvid(token, ID, authority.bundle));
    expect(await judge(await authority.issueJwt(ID, ['bench']))).toBeUndefined();
    const wrong = [
      authority.issueJwt(`${ID}/other`, ['bench']),
      authority.issueJwt(ID, ['somebody']),
      authority.issueJwt(ID, ['bench'], yesterday),
      stranger.issueJwt(ID, ['bench']),
    ];
    for (const token of await Promise.all(wrong)) expect(await judge(token)).toBeTypeOf('string');
  });
});

describe('a Workload API that hands out what it should not', () => {
  it('has its answers counted as errors', { timeout: 60_000 }, async () => {
    await using fake = await createFakeWorkloadApi({ authority });
    const call = {
      peers: [{ socketPath: fake.address.replace(/^unix:(\/\/)?/, '') }],
      ...{ connections: 1, concurrency: 1, path: pathOfMethod(workloadService(), 'FetchX509SVID') },
      requests: Array.from({ length: 5 }, () => encodeRequest(workloadService(), 'FetchX509SVID', {})),
      ...{ once: true, firstMessage: true, warmUpSeconds: 0, seconds: 60, sampleEvery: 1 },
    };
    const line = async () => {
      const { ops, seconds, failures, samples } = await runLoad(call);
      const findings = await Promise.all(samples.map(({ answer }) => said(() => judgeUpdate(answer, identity))));
      const wrong = findings.filter((finding) => finding !== undefined);
      const measured = { ops, seconds, failures, latencies: newLatencies(), verified: samples.length, wrong };
      return { ...resultLine('row', 'fake', measured), warnings: warningsOf('row', measured) };
    };
    await fake.issue(ID);
    expect(await line()).toMatchObject({ ops: 5, errors: 0, wrong: 0, verified: 5 });
    const svids = await Promise.all([
      authority.issueX509(ID, yesterday),
      stranger.issueX509(ID),
      authority.issueX509(`${ID}/other`),
    ]);
    for (const svid of svids) {
      fake.setX509({ svids: [svid] });
      const found = await line();
      expect(found).toMatchObject({ ops: 5, errors: 5, wrong: 5, verified: 5 });
      expect(found.warnings.join()).toMatch(/wrong answer/);
    }
    // Refusals come fast, and are no operations.
    fake.revoke();
    expect(await line()).toMatchObject({ ...{ ops: 0, errors: 5, ops_per_s: 0, p50_ms: null, p99_ms: null } });
  });
});

describe('two targets', () => {
  const round = (ops: number, errors = 0): ReturnType<typeof resultLine> => ({
    ...resultLine('row', 'x', {
      ...{ ops, seconds: 1, failures: errors > 0 ? { '14: gone': errors } : {}, latencies: newLatencies() },
      ...{ cpuSeconds: 2, rssMb: ops, verified: 1, wrong: [] },
    }),
  });

  it('are compared round by round, with the spread, the medians of both and the errors of both', () => {
    const line = ratioLine(
      'row',
      ['a', [round(10), round(40), round(30)]],
      ['b', [round(10), round(10), round(10, 2)]],
    );
    expect(line).toMatchObject({ name: 'row', target: 'a', against: 'b', rounds: 3 });
    expect(line).toMatchObject({ ratio: 3, ratio_min: 1, ratio_max: 4, cpu_ratio: 3, rss_ratio: 3 });
    expect(line).toMatchObject({ ops_per_s: 30, ops_per_cpu_s: 15, rss_mb: 30, errors: 0 });
    expect(line).toMatchObject({ against_ops_per_s: 10, against_errors: 2 });
    expect(ratioText(line)).toMatch(/^row: a divided by b, median of 3: ops\/s 3x \(1 to 4\).*ERRORS 0 and 2$/);
  });

  it('are compared by the rounds that both were measured in, and not at all where there are none', () => {
    const line = ratioLine('row', ['a', [round(10), undefined, round(30)]], ['b', [undefined, round(10), round(10)]]);
    expect(line).toMatchObject({ rounds: 1, ratio: 3, ratio_min: 3, ratio_max: 3, errors: 1, against_errors: 1 });
    const none = ratioLine('row', ['a', [round(10)]], ['b', [undefined]]);
    expect(none).toMatchObject({ rounds: 0, ratio: null, ops_per_s: 10, against_ops_per_s: null });
    expect(ratioText(none)).toMatch(/ops\/s not measured/);
  });
});
