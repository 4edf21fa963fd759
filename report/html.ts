/** Small ways to write HTML: text is escaped wherever it comes in, tables scroll and have a caption. */
import { escaped, grouped, signed } from '../shared/core/plotting.ts';

/** Markup, as opposed to text. */
export interface Html {
  html: string;
}

export const raw = (html: string): Html => ({ html });
const shown = (part: string | Html): string =>
  typeof part === 'string' ? escaped(part) : part.html;

type Attributes = Readonly<Record<string, string>>;

/** An element that has no end, such as an image. */
export function bare(tag: string, attributes: Attributes): Html {
  const given = Object.entries(attributes).map(([name, value]) => ` ${name}="${escaped(value)}"`);
  return raw(`<${tag}${given.join('')}>`);
}

/** An element; text among its children is text, whatever it holds. */
export function element(tag: string, attributes: Attributes, ...children: (string | Html)[]): Html {
  return raw(`${bare(tag, attributes).html}${children.map(shown).join('')}</${tag}>`);
}

export const joined = (parts: readonly Html[]): Html =>
  raw(parts.map(({ html }) => html).join('\n'));

export interface TableSpec {
  caption: string;
  head: readonly string[];
  rows: readonly (readonly (string | Html)[])[];
  /** Columns of numbers, which stand to the right. */
  numbers?: readonly number[];
  classes?: string;
}

/** A table in a box that scrolls sideways by touch and by keyboard; the first column heads its row. */
export function table({ caption, head, rows, numbers = [], classes = '' }: TableSpec): Html {
  const classOf = (i: number): Attributes => (numbers.includes(i) ? { class: 'n' } : {});
  const titles = head.map((text, i) => element('th', { scope: 'col', ...classOf(i) }, text));
  const body = rows.map((cells) =>
    element(
      'tr',
      {},
      ...cells.map((cell, i) =>
        i === 0
          ? element('th', { scope: 'row', ...classOf(i) }, cell)
          : element('td', classOf(i), cell),
      ),
    ),
  );
  return element(
    'div',
    { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': caption },
    element(
      'table',
      classes === '' ? {} : { class: classes },
      element('caption', {}, caption),
      element('thead', {}, element('tr', {}, ...titles)),
      element('tbody', {}, ...body),
    ),
  );
}

export const percent = (share: number | null, digits = 2): string =>
  share === null ? '—' : `${(100 * share).toFixed(digits)} %`;
export const number = (value: number | null, digits: number): string =>
  value === null || !Number.isFinite(value) ? '—' : signed(value, digits);
export const whole = (value: number): string => grouped(value);
/** The beginning of a digest, the whole of it for whoever points or copies. */
export const digestText = (digest: string | null): Html =>
  digest === null ? raw('—') : element('code', { title: digest }, digest.slice(0, 12));

/** Seconds as people say them. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  return `${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
}
