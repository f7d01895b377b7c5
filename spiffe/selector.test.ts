import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSelector, parseSelector, selector, selectorKeys } from './selector.ts';

const invalid = (message: string): object => expect.objectContaining({ code: 'invalid-selector', message });

describe('selector', () => {
  it('has a type without colons and a value that is not empty', () => {
    expect(selector('unix', 'uid:1000')).toEqual({ type: 'unix', value: 'uid:1000' });
    expect(() => selector('', 'x')).toThrow(invalid('missing selector type'));
    expect(() => selector('a:b', 'x')).toThrow(invalid("selector type contains ':'"));
    expect(() => selector('a', '')).toThrow(invalid('missing selector value'));
  });
});

describe('parseSelector', () => {
  it('splits at the first colon', () => {
    expect(parseSelector('k8s:pod-label:app:web')).toEqual({ type: 'k8s', value: 'pod-label:app:web' });
  });

  it.each(['', 'unix', ':uid', 'unix:', ':'])('refuses "%s"', (text) => {
    expect(() => parseSelector(text)).toThrow(expect.objectContaining({ code: 'invalid-selector' }));
  });

  it('does not repeat a text that may be a secret', () => {
    const refusal = (): unknown => parseSelector('s3cret-without-colon');
    expect(refusal).toThrow(/must be formatted/);
    expect(refusal).not.toThrow(/s3cret/);
  });

  it('undoes formatSelector, so that the text is a key', () => {
    const type = fc.stringMatching(/^[^:]{1,20}$/s);
    fc.assert(
      fc.property(type, fc.string({ minLength: 1 }), (type, value) => {
        expect(parseSelector(formatSelector({ type, value }))).toEqual({ type, value });
      }),
    );
  });
});

describe('selectorKeys', () => {
  it('counts equal selectors once', () => {
    const one = selector('unix', 'uid:1');
    expect(selectorKeys([one, { ...one }, selector('unix', 'gid:1')])).toEqual(new Set(['unix:uid:1', 'unix:gid:1']));
  });
});
