import { afterEach, describe, expect, it } from 'vitest';
import type { CommandIo } from '../common/cli/command.ts';
import { type Logger, silentLogger } from '../common/log/logger.ts';
import { serve } from './serve.ts';

const lines: string[] = [];
const note = (message: string): void => void lines.push(message);
const log: Logger = { ...silentLogger, error: note, warn: note, info: note };
const io = { env: {}, out: () => undefined, err: () => undefined } as unknown as CommandIo;
afterEach(() => void lines.splice(0));

describe('a daemon', () => {
  it('answers SIGUSR1 itself: Node would open its debugger', async () => {
    let end: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (end = resolve));
    const start = async () => ({ done, close: async () => undefined });
    const ended = serve({ name: 'Agent', log, reopenLog: () => undefined, start }, io);
    expect(process.listenerCount('SIGUSR1')).toBe(1);
    process.emit('SIGUSR1');
    end();
    expect(await ended).toBe(0);
    expect(lines[0]).toContain('SIGUSR1');
    expect(process.listenerCount('SIGUSR1')).toBe(0);
  });

  it('says why it could not start', async () => {
    const start = () => Promise.reject(new Error('no disk'));
    expect(await serve({ name: 'Agent', log, reopenLog: () => undefined, start }, io)).toBe(1);
    expect(lines).toContain('Agent crashed');
  });
});
