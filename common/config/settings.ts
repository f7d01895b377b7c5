import { duration, refine } from './schema.ts';
import { type Found, invalid, present, type Schema } from './schema-core.ts';

/** In the reference's configuration '', 0 and null all mean "not set". */
function isUnset(one: Found): boolean {
  const { value } = one;
  if (!present(one)) return true;
  return (value.kind === 'text' && value.text === '') || (value.kind === 'integer' && Number(value.text) === 0);
}

/** Undefined when absent, empty or 0. */
export function setting<T>(schema: Schema<T>): Schema<T | undefined> {
  return {
    shape: { ...schema.shape, presence: 'optional' },
    read(found, place) {
      const given = found.filter((one) => !isUnset(one));
      return given.length === 0 ? undefined : schema.read(given, place);
    },
  };
}

/** `value` when absent, empty or 0. */
export function settingOr<T>(schema: Schema<T>, value: T): Schema<T> {
  const inner = setting(schema);
  return {
    shape: { ...inner.shape, fallback: value },
    read(found, place) {
      const read = inner.read(found, place);
      return read === undefined ? value : read;
    },
  };
}

/** A duration longer than nothing. */
export function lifetime(): Schema<number> {
  return refine(duration(), (ms) => (ms > 0 ? undefined : 'must be longer than 0'));
}

/**
 * A key that the reference knows and this build does not serve yet. Ignoring it would leave an operator believing in
 * something that is not there, so it is refused unless it switches the feature off.
 */
export function unavailable(feature: string): Schema<undefined> {
  return {
    shape: { kind: 'raw', presence: 'optional', help: `${feature}; not available yet in this build` },
    read(found, place) {
      const on = found.filter(({ value, labels }) => labels.length > 0 || !isOff(value));
      for (const one of on) {
        place.problems.add(one.position, place.path, `${feature} is not available yet in this build; remove this key`);
      }
      return on.length === 0 ? undefined : invalid;
    },
  };
}

function isOff(value: Found['value']): boolean {
  if (value.kind === 'list') return value.items.length === 0;
  if (value.kind === 'object') return false;
  return value.kind === 'null' || ['', '0', 'false'].includes(value.text.toLowerCase());
}
