import { expect, it } from 'vitest';

/**
 * One row of the checklist, shown by running it. Each call makes one test whose title names the row and the direction;
 * `npm run conformance` counts a row as met when every direction that the checklist asks of it has a test and all pass.
 */
export interface Row {
  /** Something that the rule allows: `run` must not throw. */
  accepts(what: string, run: () => unknown): Row;
  /** Something that the rule forbids: `run` must throw (or reject) with a message in which `error` is found. */
  refuses(what: string, run: () => unknown, error: RegExp): Row;
  /** What our side produces or does: `run` holds its own expectations, and at least one of them. */
  shows(what: string, run: () => unknown): Row;
}

/** @param id of the checklist, such as `X509-02` */
export function row(id: string): Row {
  const self: Row = {
    accepts(what, run) {
      it(`${id} accepts: ${what}`, async () => {
        await run();
      });
      return self;
    },
    refuses(what, run, error) {
      it(`${id} refuses: ${what}`, async () => {
        await expect(async () => run()).rejects.toThrow(error);
      });
      return self;
    },
    shows(what, run) {
      it(`${id} shows: ${what}`, async () => {
        await run();
        expect.hasAssertions();
      });
      return self;
    },
  };
  return self;
}
