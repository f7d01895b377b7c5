import { formatSelector, parseSelector, selectorKeys } from '../../../spiffe/selector.ts';
import { goQuote } from '../../../spiffe/go-quote.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { textMutator } from '../mutate/text.ts';
import { must, mustBeSame, outcomeOf, ruleOf, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

const WORDS = ['unix:uid:1000', 'k8s:ns:', 'docker:label:a:b', ':', '::', 'type', 'x509pop:subject:cn:'];

/** Selectors, and the quoting of whatever text for messages. */
export const selectorTarget: Target = {
  name: 'selector',
  maxLength: 2000,
  mutate: mixed([4, textMutator(WORDS)], [1, mutateBytes]),
  growth: [{ what: 'colons', from: 50_000, of: (size) => Buffer.from(`a${':'.repeat(size)}`) }],
  execute(input) {
    const text = input.toString('utf8');
    // A printed text must stay on its line, whatever is in it.
    must(/^"(?:[^"\\\p{Cc}\u2028\u2029]|\\.)*"$/su.test(goQuote(text)), 'a quoted text has no bare control or quote');
    const outcome = outcomeOf(() => parseSelector(text), spiffeErrors('invalid-selector'));
    mustBeSame('value' in outcome, /^[^:]+:.+$/s.test(text), 'is a selector by the pattern');
    if ('refused' in outcome) {
      must(text.length < 20 || !outcome.refused.message.includes(text), 'a message must not repeat the selector');
      return ruleOf(outcome.refused);
    }
    const { type, value } = outcome.value;
    must(!type.includes(':') && value !== '', 'type without colon, value not empty');
    mustBeSame(formatSelector(outcome.value), text, 'written again');
    mustBeSame(selectorKeys([outcome.value, parseSelector(text)]).size, 1, 'equal selectors have one key');
    return 'accepted';
  },
};
