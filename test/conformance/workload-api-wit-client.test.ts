import { describe, expect } from 'vitest';
import { FinialError, toFinialError } from '../../common/errors.ts';
import { shapesOf } from '../../common/rpc/descriptor.ts';
import { scriptedAgent, scriptedStream, type WorkloadHandlers } from '../support/scripted-agent.ts';
import { row } from './row.ts';

// What our client does in the WIT profile, against an agent that says what a test wants, right or wrong.

/** Follows a stream until three errors have come or it fails for good; says which, and how long the waits were. */
async function followed(handlers: WorkloadHandlers, which: 'witSvids' | 'witBundles') {
  await using agent = await scriptedAgent(handlers, { wit: true });
  const stop = new AbortController();
  const errors: string[] = [];
  const listener = {
    onUpdate: () => expect.fail('nothing was sent'),
    onError({ code }: FinialError) {
      errors.push(code);
      if (errors.length === 4) stop.abort();
    },
  };
  const end = await agent.api[which].follow(listener, { signal: stop.signal }).then(
    () => 'stopped',
    (error: unknown) => toFinialError(error).code,
  );
  return { end, calls: agent.calls.length, errors, waits: agent.clock.waits.map(Math.round) };
}

const failing = (code: 'permission-denied' | 'unimplemented') =>
  scriptedStream<object, object>([new FinialError(code, 'scripted')]);

describe('streams', () => {
  const once = { end: 'unimplemented', calls: 1, errors: ['unimplemented'], waits: [] };
  row('WAPI-68')
    .shows('an agent without WIT-SVIDs is not asked again', async () => {
      expect(await followed({ FetchWITSVID: failing('unimplemented') }, 'witSvids')).toEqual(once);
    })
    .shows('nor for their bundles', async () => {
      expect(await followed({ FetchWITBundles: failing('unimplemented') }, 'witBundles')).toEqual(once);
    });

  const slowly = { end: 'stopped', calls: 4, errors: Array(4).fill('permission-denied'), waits: [200, 340, 578] };
  row('WAPI-75').shows('a denied client asks again, ever more rarely', async () => {
    expect(await followed({ FetchWITSVID: failing('permission-denied') }, 'witSvids')).toEqual(slowly);
  });
  row('WAPI-81').shows('a denied client asks again, ever more rarely', async () => {
    expect(await followed({ FetchWITBundles: failing('permission-denied') }, 'witBundles')).toEqual(slowly);
  });

  row('WAPI-79').shows('bundles are text on the wire, where those of JWT-SVIDs are bytes', () => {
    const { messages } = shapesOf('workload.proto');
    const valueOf = (name: string) =>
      messages.get(name)?.fields.map(({ message }) => message?.fields.map(({ type }) => type));
    expect(valueOf('WITBundlesResponse')).toEqual([['TYPE_STRING', 'TYPE_STRING']]);
    expect(valueOf('JWTBundlesResponse')).toEqual([['TYPE_STRING', 'TYPE_BYTES']]);
  });
});
