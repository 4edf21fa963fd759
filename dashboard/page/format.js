/** Numbers that may be missing, and small ways to build the page without ever parsing HTML. */
import { count, signed } from '../core/format.js';

export { bytes, count, duration } from '../core/format.js';

/** A new element with attributes and children; text is text, whatever it holds. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.map(String));
  return element;
}

const svgName = 'http://www.w3.org/2000/svg';

/** The same for a part of a picture. */
export function draw(tag, attributes = {}, text = null) {
  const element = document.createElementNS(svgName, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

/** Fixed digits, or a dash where there is no value. */
export const fixed = (value, digits) =>
  value === null || value === undefined || !Number.isFinite(value) ? '—' : signed(value, digits);

/** Three figures or so. */
export function figures(value) {
  if (value === null || !Number.isFinite(value)) return '—';
  return Math.abs(value) >= 1000 ? count(value) : String(Number(value.toPrecision(3)));
}

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
