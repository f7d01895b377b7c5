import { linkSignals } from '../common/linked-signal.ts';
import { type HeldSource, holdSource, type SourceOptions } from './held-source.ts';
import type { Source } from './source.ts';
import type { WorkloadStream } from './stream.ts';
import { type WorkloadApi, workloadApi } from './workload-api.ts';

/** A stream that a source follows, and its name in errors. */
interface Part<T> {
  readonly what: string;
  readonly streamOf: (api: WorkloadApi) => WorkloadStream<T>;
}

/** Two streams that make one source. */
interface Both<A, B> {
  readonly values: readonly [HeldSource<A>, HeldSource<B>];
  /** What the source has in common with all others. */
  readonly source: Source;
}

/**
 * Follows two streams over one connection.
 *
 * @returns once both have said something
 * @throws FinialError of the one that failed first; without one of the two the other is of no use, and is not awaited
 */
export async function bothOrNeither<A, B>(options: SourceOptions, a: Part<A>, b: Part<B>): Promise<Both<A, B>> {
  const api = options.api ?? workloadApi(options);
  const closeApi = (): void => {
    if (options.api === undefined) api.close();
  };
  const giveUp = linkSignals(options.signal);
  const hold = async <T>({ what, streamOf }: Part<T>): Promise<HeldSource<T>> => {
    try {
      return await holdSource(what, streamOf, { ...options, api, signal: giveUp.signal });
    } catch (error) {
      giveUp.abort();
      throw error;
    }
  };
  const making = [hold(a), hold(b)] as const;
  try {
    const values = await Promise.all(making);
    return { values, source: joined(values, closeApi) };
  } catch (error) {
    for (const one of await Promise.allSettled(making)) if (one.status === 'fulfilled') one.value.close();
    closeApi();
    throw error;
  } finally {
    giveUp.unlink();
  }
}

function joined(both: readonly Source[], closeApi: () => void): Source {
  const onEach = (add: (one: Source) => () => void): (() => void) => {
    const removers = both.map(add);
    return () => removers.forEach((remove) => remove());
  };
  const close = (): void => {
    for (const one of both) one.close();
    closeApi();
  };
  return {
    onUpdate: (listener) => onEach((one) => one.onUpdate(listener)),
    onError: (listener) => onEach((one) => one.onError(listener)),
    close,
    [Symbol.dispose]: close,
  };
}
