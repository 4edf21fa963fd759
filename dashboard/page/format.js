/** Numbers as people read them, and small ways to build the page without ever parsing HTML. */

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

export function fixed(value, digits) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '—';
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

export function count(value) {
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

/** Three figures or so. */
export function figures(value) {
  if (value === null || !Number.isFinite(value)) return '—';
  return Math.abs(value) >= 1000 ? count(value) : String(Number(value.toPrecision(3)));
}

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const two = (n) => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86_400)}d${two(Math.floor(s / 3600) % 24)}h`;
}

export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let scaled = value;
  for (; scaled >= 1000 && unit < 4; unit += 1) scaled /= 1000;
  return `${unit === 0 ? scaled : scaled.toFixed(1)} ${units[unit]}`;
}
