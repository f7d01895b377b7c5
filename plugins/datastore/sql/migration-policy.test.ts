import { describe, expect, it } from 'vitest';
import { planMigration } from './migration-policy.ts';

describe('planMigration', () => {
  const plan = (schema: number, code: string, disableMigration = false) =>
    planMigration({ schema, code }, { disableMigration });
  const refusal = {
    code: 'failed-precondition',
    message: expect.stringMatching(/^datastore-sql: cannot use the database/),
  };

  it('creates what is not there, migration disabled or not', () => {
    expect(planMigration(undefined, { disableMigration: false })).toEqual({ action: 'create' });
    expect(planMigration(undefined, { disableMigration: true })).toEqual({ action: 'create' });
  });

  it('uses the current schema and raises an older code version', () => {
    expect(plan(25, '1.15.3')).toEqual({ action: 'use', raiseCodeVersion: false });
    expect(plan(25, '1.16.0')).toEqual({ action: 'use', raiseCodeVersion: false });
    expect(plan(25, '2.0.0')).toEqual({ action: 'use', raiseCodeVersion: false });
    for (const older of ['1.15.2', '1.14.7', '0.12.0', '', '1.15.3-rc.1']) {
      expect(plan(25, older, true)).toEqual({ action: 'use', raiseCodeVersion: true });
    }
  });

  it('migrates from 23 and 24 in order', () => {
    expect(plan(23, '1.13.0')).toEqual({ action: 'migrate', steps: [24, 25] });
    expect(plan(24, '1.14.0')).toEqual({ action: 'migrate', steps: [25] });
  });

  it.each([0, 1, 22])('refuses schema %i as too old', (schema) => {
    expect(() => plan(schema, '1.12.0')).toThrow(expect.objectContaining(refusal));
    expect(() => plan(schema, '1.12.0')).toThrow('too old');
  });

  it('uses a newer schema of the next minor version, with a warning', () => {
    expect(plan(26, '1.16.4')).toMatchObject({ action: 'use', raiseCodeVersion: false, warning: expect.any(String) });
    expect(() => plan(26, '1.17.0')).toThrow(expect.objectContaining(refusal));
    expect(() => plan(26, '2.15.0')).toThrow('too new');
  });

  it('leaves another schema alone when migration is disabled and versions get on', () => {
    expect(plan(24, '1.14.0', true)).toMatchObject({
      action: 'use',
      raiseCodeVersion: false,
      warning: expect.any(String),
    });
    expect(plan(26, '1.16.0', true)).toMatchObject({ action: 'use' });
    expect(() => plan(24, '1.13.0', true)).toThrow('disable_migration');
    expect(() => plan(23, '', true)).toThrow(expect.objectContaining(refusal));
  });

  it('refuses a code version that is none', () => {
    expect(() => plan(24, 'latest')).toThrow('"latest"');
  });
});
