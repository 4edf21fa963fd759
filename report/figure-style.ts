/**
 * The looks of figures, as CSS that the page and each file carry: eight colours that differ in
 * lightness too, and dashes, so that curves can be told apart without colour. Light and dark.
 *
 * Colours are written out, not variables: programs that turn an SVG into pixels know none.
 */

/** Curves beyond these repeat the colours with other dashes. */
export const coloursMax = 8;

const light = ['1f5fc4', 'b34d06', '176b3a', '6b3fb5', 'b3261e', '0b6e78', '8a5a00', 'a0307a'];
const dark = ['78b0ff', 'ffa869', '6fd08c', 'c3a3ff', 'ff8f86', '62d0da', 'f0c05a', 'ff9ad5'];
const dashes = ['none', '9 4', '2 4', '9 4 2 4'];

/** Classes of the curve with this number: `c3 d0`. */
export const curveClasses = (index: number): string =>
  `c${index % coloursMax} d${Math.floor(index / coloursMax) % dashes.length}`;

const colours = (hex: readonly string[]): string =>
  hex.map((c, i) => `.fig .c${i} { stroke: #${c}; } .fig .f${i} { fill: #${c}; }`).join('\n');

interface Theme {
  paper: string;
  ink: string;
  soft: string;
  grid: string;
  bar: string;
  marks: Record<'joined' | 'left' | 'moved' | 'rewound', string>;
}

const themeOf = ({ paper, ink, soft, grid, bar, marks }: Theme): string =>
  `.fig .paper { fill: #${paper}; } .fig .ring { stroke: #${paper}; }
.fig .title, .fig .name, .fig .value { fill: #${ink}; }
.fig .tick { fill: #${soft}; }
.fig .grid { stroke: #${grid}; } .fig .edge, .fig .guide { stroke: #${soft}; }
.fig .bar { fill: #${bar}; } .fig .track { fill: #${grid}; }
.fig .joined { stroke: #${marks.joined}; } .fig .left { stroke: #${marks.left}; }
.fig .moved { stroke: #${marks.moved}; } .fig .rewound { stroke: #${marks.rewound}; }
.fig .opened, .fig .checkpoint { stroke: #${soft}; }`;

/** The sheet. */
export const figureStyle = `.fig { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, \
'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif; font-size: 13px; }
.fig text { font-variant-numeric: tabular-nums; }
.fig .title { font-size: 16px; font-weight: 600; }
.fig .name, .fig .value { font-weight: 600; }
.fig .line, .fig .raw { fill: none; stroke-linejoin: round; stroke-linecap: round; }
.fig .line { stroke-width: 2; } .fig .raw { stroke-width: 1; opacity: 0.35; }
.fig .whisker { stroke-width: 1.5; } .fig .ring { stroke-width: 1.5; }
.fig .guide { stroke-dasharray: 5 4; } .fig .mark { stroke-width: 2; }
.fig .opened { stroke-dasharray: 3 3; } .fig .checkpoint { stroke-width: 1; opacity: 0.6; }
${dashes.map((dash, i) => `.fig .d${i} { stroke-dasharray: ${dash}; }`).join('\n')}
.fig circle, .fig .whisker { stroke-dasharray: none; }
${themeOf({
  ...{ paper: 'ffffff', ink: '1c2430', soft: '55606f', grid: 'e2e6ec', bar: '4a86df' },
  marks: { joined: '176b3a', left: 'b3261e', moved: '8a5a00', rewound: '6b3fb5' },
})}
${colours(light)}
@media (prefers-color-scheme: dark) {
${themeOf({
  ...{ paper: '161b22', ink: 'e8ecf2', soft: 'a3aebd', grid: '2b3440', bar: '4f83cc' },
  marks: { joined: '6fd08c', left: 'ff8f86', moved: 'f0c05a', rewound: 'c3a3ff' },
})}
${colours(dark)}
}`;
