import { describe, expect, it } from 'vitest';
import { CloseStack, runTasks, supervise, type Task } from './lifecycle.ts';

const untilStopped =
  (onStop: () => void): Task =>
  (signal) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        onStop();
        resolve();
      });
    });

describe('runTasks', () => {
  it('stops the others when one fails, waits for them, and reports the failure', async () => {
    const stopped: string[] = [];
    const failure = new Error('broken');
    const running = runTasks(
      {
        good: untilStopped(() => stopped.push('good')),
        done: async () => undefined,
        bad: () => Promise.reject(failure),
      },
      new AbortController().signal,
    );
    await expect(running).rejects.toBe(failure);
    expect(stopped).toEqual(['good']);
  });

  it('ends without error when it is told to stop, whatever tasks throw on their way out', async () => {
    const stop = new AbortController();
    const running = runTasks(
      {
        one: untilStopped(() => undefined),
        two: (signal) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
      },
      stop.signal,
    );
    stop.abort();
    await running;
  });
});

describe('supervise', () => {
  it('stops the tasks when it is closed, and closes what they used after them', async () => {
    const order: string[] = [];
    const resources = new CloseStack();
    resources.defer('store', () => void order.push('store'));
    const running = supervise({ task: untilStopped(() => order.push('task')) }, resources);
    await running.close();
    await running.done;
    expect(order).toEqual(['task', 'store']);
  });

  it('closes everything when a task fails, and says why', async () => {
    const closed: string[] = [];
    const resources = new CloseStack();
    resources.defer('store', () => void closed.push('store'));
    const running = supervise({ bad: () => Promise.reject(new Error('broken')) }, resources);
    await expect(running.done).rejects.toThrow('broken');
    expect(closed).toEqual(['store']);
  });

  it('ends with whatever else its controller ends', async () => {
    const stop = new AbortController();
    const running = supervise({ task: untilStopped(() => undefined) }, new CloseStack(), stop);
    stop.abort();
    await running.done;
  });
});

describe('CloseStack', () => {
  it('closes in reverse order, goes on after a failure, and reports the first one by name', async () => {
    const closed: string[] = [];
    const stack = new CloseStack();
    stack.defer('first', () => void closed.push('first'));
    stack.defer('second', () => {
      throw new Error('stuck');
    });
    const third = { close: () => void closed.push('third') };
    expect(stack.use('third', third)).toBe(third);
    await expect(stack.close()).rejects.toThrow('closing second: stuck');
    expect(closed).toEqual(['third', 'first']);
    await stack.close();
    expect(closed).toHaveLength(2);
  });
});
