/** The page's sheet: one column on a phone, two on a desk; light and dark by the reader's wish. */

export const pageStyle = `:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c2430; --soft: #55606f; --line: #d9dee5;
  --blue: #1f5fc4; --red: #b3261e; --green: #1d8a47;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1217; --card: #161b22; --ink: #e8ecf2; --soft: #a3aebd; --line: #2b3440;
    --blue: #78b0ff; --red: #ff8f86; --green: #6fd08c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif;
  font-variant-numeric: tabular-nums;
}
header, main, footer { max-width: 82rem; margin: 0 auto; padding: 1rem 1.2rem; }
header { padding-bottom: .2rem; }
main { padding-top: .6rem; display: grid; gap: 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; line-height: 1.25; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1.1rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .2rem 0 .6rem; }
nav ul, .legend { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; padding: 0; margin: .5rem 0; }
a { color: var(--blue); text-underline-offset: .15em; }
.note, footer, figcaption small { color: var(--soft); font-size: .88rem; }
.legend li { display: flex; align-items: center; gap: .45rem; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.1rem; min-width: 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: .4rem 1.4rem; }
.plots > div { min-width: 0; }
.plots.one { max-width: 44rem; }
svg.fig { display: block; width: 100%; height: auto; }
svg.swatch { display: inline-block; width: 1.5rem; height: .65rem; flex: none; margin-right: .4rem; vertical-align: baseline; }
svg.key { display: inline-block; width: .7rem; height: .7rem; margin-right: .4rem; }
svg.stack { height: 1.2rem; border-radius: .3rem; margin: .3rem 0 .5rem; }
.scroll { overflow-x: auto; }
.scroll.timeline svg { min-width: 44rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
caption { text-align: left; color: var(--soft); padding: .2rem 0 .3rem; }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 600; }
th.n, td.n { text-align: right; }
table.confusion td.n { padding: .1rem .25rem; }
table.confusion thead th.n { padding-right: .35rem; max-width: 9rem; overflow: hidden; text-overflow: ellipsis; }
table.confusion { width: auto; }
table.confusion th, table.confusion td { vertical-align: middle; }
.cell { display: block; min-width: 2.6rem; padding: .2rem .4rem; border-radius: .25rem; text-align: right;
  background: color-mix(in srgb, var(--blue) calc(var(--depth) * 100%), transparent); }
code { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; font-size: .92em; }
details { margin-top: .6rem; }
.plots + .scroll { margin-top: .8rem; }
summary { cursor: pointer; color: var(--blue); }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; border-radius: .2rem; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .3rem .6rem; z-index: 2; }
.alarm { color: var(--red); overflow-wrap: anywhere; }
.nearest { display: flex; gap: .6rem; overflow-x: auto; padding: .5rem 0; border-bottom: 1px solid var(--line); }
.nearest figure { margin: 0; width: 7rem; flex: none; }
.nearest .query { padding-right: .7rem; border-right: 1px solid var(--line); }
.nearest img { width: 7rem; height: 7rem; object-fit: cover; border-radius: .35rem; display: block; border: 3px solid transparent; }
.nearest .same img { border-color: var(--green); }
figcaption { font-size: .82rem; overflow-wrap: anywhere; line-height: 1.3; }
figcaption small { display: block; }
@media (max-width: 46rem) {
  header, main, footer { padding-left: .7rem; padding-right: .7rem; }
  section { padding: .8rem .7rem; }
  .plots svg.fig text { font-size: 18px; }
  .nearest figure, .nearest img { width: 5.6rem; }
  .nearest img { height: 5.6rem; }
}
@media print {
  body { background: #fff; } section { break-inside: avoid; border: 0; padding: 0; } nav { display: none; }
}`;
