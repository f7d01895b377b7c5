import { describe, expect, it } from 'vitest';
import { ManualClock } from '../clock.ts';
import type { LogFields, Logger } from '../log/logger.ts';
import { createHealth, type HealthCheck, type HealthState, healthTask, listenHealth } from './health.ts';

const recording = () => {
  const lines: string[] = [];
  const write =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push(`${level} ${message} ${String(fields['check'])}: ${String(fields['error'])}`);
  const log: Logger = {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    trace: write('trace'),
    with: () => log,
  };
  return { lines, log };
};

const fine: HealthState = { live: true, ready: true };

const watch = (checks: Record<string, HealthCheck>) => {
  const clock = new ManualClock();
  const { lines, log } = recording();
  const health = createHealth({ checks, clock, log });
  const stop = new AbortController();
  const running = health.run(stop.signal);
  return {
    ...{ clock, lines, health },
    stop: async () => {
      stop.abort();
      await running;
    },
  };
};

describe('createHealth', () => {
  it('has nothing to show before the first check', () => {
    const { log } = recording();
    const health = createHealth({
      checks: { b: async () => fine, a: async () => fine },
      clock: new ManualClock(),
      log,
    });
    expect(health.answer('ready')).toEqual({ healthy: false, body: '{"a":null,"b":null}\n' });
  });

  it('checks every second until all is well, then every minute', async () => {
    let calls = 0;
    const { clock, health, stop } = watch({ x: async () => ({ ...fine, ready: (calls += 1) > 3 }) });
    await clock.advance(2000);
    expect([calls, health.answer('ready').healthy, health.answer('live').healthy]).toEqual([3, false, true]);
    await clock.advance(1000);
    expect([calls, health.answer('ready')]).toEqual([4, { healthy: true, body: '{"x":{}}\n' }]);
    await clock.advance(59_999);
    expect(calls).toBe(4);
    await clock.advance(1);
    expect(calls).toBe(5);
    await stop();
    await clock.advance(120_000);
    expect([calls, clock.sleeping]).toEqual([5, 0]);
  });

  it('shows the details of the probe that is asked for', async () => {
    const state: HealthState = {
      live: true,
      ready: false,
      liveDetails: null,
      readyDetails: { make_new_x509_err: 'no "x"' },
    };
    const { clock, health, stop } = watch({ agent: async () => state, server: async () => fine });
    await clock.advance(0);
    expect(health.answer('ready')).toEqual({
      healthy: false,
      body: '{"agent":{"make_new_x509_err":"no \\"x\\""},"server":{}}\n',
    });
    expect(health.answer('live')).toEqual({ healthy: true, body: '{"agent":null,"server":{}}\n' });
    await stop();
  });

  it('tells of failures: once per text while starting, each time afterwards, and of the recovery', async () => {
    const states: HealthState[] = [
      { live: true, ready: false, starting: true },
      { live: true, ready: false, starting: true },
      { live: false, ready: false, starting: true },
      fine,
      { live: false, ready: true },
      { live: false, ready: true },
    ];
    const { clock, lines, stop } = watch({ x: async () => states.shift() ?? fine });
    await clock.advance(3000 + 3 * 60_000);
    expect(lines).toEqual([
      'warn Health check has failed. Starting up still. x: subsystem is not ready',
      'warn Health check has failed. Starting up still. x: subsystem is not live or ready',
      'info Health check recovered x: subsystem is not live or ready',
      'error Health check has failed x: subsystem is not live',
      'error Health check has failed x: subsystem is not live',
      'info Health check recovered x: subsystem is not live',
    ]);
    await stop();
  });

  it('counts a check that throws or hangs as failed, and goes on', async () => {
    let hang = true;
    const { clock, lines, health, stop } = watch({
      broken: async () => {
        throw new Error('no database');
      },
      stuck: () => (hang ? new Promise(() => undefined) : Promise.resolve(fine)),
    });
    await clock.advance(30_000);
    expect(health.answer('live')).toEqual({ healthy: false, body: '{"broken":null,"stuck":null}\n' });
    expect(lines).toEqual([
      'error Health check has failed broken: no database',
      'error Health check has failed stuck: no answer within 30 s',
    ]);
    hang = false;
    await clock.advance(1000);
    expect(health.answer('live').body).toBe('{"broken":null,"stuck":{}}\n');
    await stop();
  });
});

describe('listenHealth', () => {
  const answers = { live: { healthy: true, body: '{"a":{}}\n' }, ready: { healthy: false, body: '{"a":null}\n' } };
  const options = {
    health: { answer: (probe: 'live' | 'ready') => answers[probe] },
    ...{ host: '127.0.0.1', port: 0, livePath: '/live', readyPath: '/ready' },
  };

  it('answers on the two paths only', async () => {
    const listener = await listenHealth(options);
    const ask = async (path: string, method = 'GET') => {
      const response = await fetch(`http://127.0.0.1:${listener.port}${path}`, { method });
      return [response.status, response.headers.get('content-type'), await response.text()];
    };
    expect(await ask('/live')).toEqual([200, 'application/json', '{"a":{}}\n']);
    expect(await ask('/ready?x=1', 'POST')).toEqual([500, 'application/json', '{"a":null}\n']);
    for (const path of ['/', '/live/', '/LIVE']) expect((await ask(path))[0]).toBe(404);
    await listener.close();
    await expect(ask('/live')).rejects.toThrow('fetch failed');
  });

  it('says why it cannot listen, which the task only warns about', async () => {
    const taken = await listenHealth(options);
    await expect(listenHealth({ ...options, port: taken.port })).rejects.toThrow(
      /^cannot serve health checks: .*EADDRINUSE/,
    );
    const { lines, log } = recording();
    const clock = new ManualClock();
    const stop = new AbortController();
    const health = createHealth({ checks: { a: async () => fine }, clock, log });
    const running = healthTask(health, { ...options, port: taken.port }, log)(stop.signal);
    await expect.poll(() => lines.length).toBe(1);
    expect(lines[0]).toMatch(/^warn Error serving health checks/);
    stop.abort();
    await running;
    await taken.close();
  });

  it('stops with its task', async () => {
    const { log } = recording();
    const stop = new AbortController();
    const health = createHealth({ checks: { a: async () => fine }, clock: new ManualClock(), log });
    const probe = await listenHealth(options);
    await probe.close();
    const running = healthTask(health, { ...options, port: probe.port }, log)(stop.signal);
    const ask = () =>
      fetch(`http://127.0.0.1:${probe.port}/live`).then(
        (r) => r.status,
        () => 0,
      );
    await expect.poll(ask).toBe(200);
    stop.abort();
    await running;
    expect(await ask()).toBe(0);
  });
});
