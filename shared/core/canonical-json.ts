/**
 * One text for one value: JSON with sorted keys and no spaces, fit for hashing (NUMERICS 1).
 *
 * Keys are sorted by UTF-16 code units and numbers printed in JavaScript's shortest form, as in
 * RFC 8785. What JSON would drop or bend in silence (undefined, NaN, functions, class instances)
 * is refused with the place where it stands.
 */

/** The canonical text of plain data; throws a TypeError that names the place of anything else. */
export function canonicalJson(value: unknown): string {
  return write(value, '$');
}

function write(value: unknown, place: string): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value);
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused(value, place);
    return JSON.stringify(value);
  }
  if (typeof value !== 'object') throw refused(value, place);
  if (Array.isArray(value)) {
    // Array.from turns holes into undefined, which is then refused.
    const items = Array.from(value, (item: unknown, i) => write(item, `${place}[${i}]`));
    return `[${items.join(',')}]`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw refused(value, place);
  const record = value as Record<string, unknown>;
  const fields = Object.keys(record)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${write(record[name], `${place}.${name}`)}`);
  return `{${fields.join(',')}}`;
}

function refused(value: unknown, place: string): TypeError {
  const found = typeof value === 'object' ? 'an object of a class' : String(value);
  return new TypeError(
    `canonical JSON holds null, booleans, finite numbers, text, lists and plain objects; ` +
      `found ${found} at ${place}`,
  );
}
