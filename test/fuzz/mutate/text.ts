import type { Random } from '../random.ts';
import type { Mutator } from '../target.ts';

/** Characters that parsers of text trip over: controls, blanks of all kinds, what changes length in lower case, halves. */
const ODD = [
  ...['\0', '\t', '\n', '\r', '\r\n', ' ', '"', "'", '\\', '/', '//', ':', '.', '..', '%2e', '%00', '%', '@', '?', '#'],
  ...['\u0085', '\u00a0', '\u00e9', '\u0130', '\u017f', '\u200b', '\u202e', '\u2028', '\u212a', '\ud800', '\udfff'],
  ...[
    '\ufeff',
    '\uffff',
    '\u{1f600}',
    '\u{10ffff}',
    '[',
    ']',
    '{',
    '}',
    '=',
    ',',
    '-',
    '+',
    '_',
    '~',
    '\x7f',
    '$',
    '${',
  ],
];

/** Repetitions of repetitions end here. */
const MAX_LENGTH = 1 << 15;

/** Changes UTF-8 text, by characters and by the words of its language. */
export function textMutator(words: readonly string[]): Mutator {
  const all = [...words, ...words, ...ODD];
  return (input, random, other) => {
    let text = input.toString('utf8');
    for (let left = 1 << random.int(4); left > 0 && text.length < MAX_LENGTH; left -= 1) {
      text = changed(text, random, all, other);
    }
    return Buffer.from(text, 'utf8');
  };
}

function changed(text: string, random: Random, words: readonly string[], other: () => Buffer): string {
  const from = random.int(text.length + 1);
  const to = Math.min(text.length, from + random.int(random.oneIn(4) ? text.length + 1 : 6));
  const [before, middle, after] = [text.slice(0, from), text.slice(from, to), text.slice(to)];
  switch (random.int(8)) {
    case 0:
      return before + after;
    case 1:
      return before + random.pick(words) + middle + after;
    case 2:
      return before + random.pick(words) + after;
    case 3:
      return before + middle.repeat(2 + random.int(random.oneIn(8) ? 300 : 4)) + after;
    case 4:
      return before + (random.oneIn(2) ? middle.toUpperCase() : middle.toLowerCase()) + after;
    case 5: {
      const theirs = other().toString('utf8');
      const at = random.int(theirs.length + 1);
      return before + theirs.slice(at, at + 1 + random.int(64)) + after;
    }
    case 6:
      return before + middle.split('').toReversed().join('') + after;
    default:
      return before + String.fromCharCode(random.int(random.oneIn(4) ? 0x10000 : 0x80)) + after;
  }
}
