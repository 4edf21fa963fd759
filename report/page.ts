/**
 * The report as one HTML page that asks for nothing: style, figures and pictures lie in it, it runs no
 * script, and its content security policy forbids all else.
 *
 * Names of runs, classes and files come from outside and reach the page as escaped text only.
 */
import { escaped } from '../shared/core/plotting.ts';
import { accuracyFigure, measuredOf } from './accuracy-figure.ts';
import type { Figure, ReportContents } from './contents.ts';
import { curveSections, note, plots, type Section } from './curve-sections.ts';
import { figureStyle } from './figure-style.ts';
import { element, type Html, joined } from './html.ts';
import { pageStyle } from './page-style.ts';
import { lossPanels, sharedFigures } from './run-figures.ts';
import { confusion, evaluationsTable, matricesOf } from './evaluation-sections.ts';
import { galleryOf } from './gallery-section.ts';
import { runsTable } from './sections.ts';
import { timelineFigure } from './timeline-figure.ts';

export interface Report {
  page: string;
  /** The figures that also become files. */
  figures: readonly Figure[];
}

/** Page and figures. Equal contents give equal bytes. */
export function report(contents: ReportContents): Report {
  const { galleries } = contents;
  const all = contents.runs;
  // Encoder folders come last, so that curves keep the colours of the runs.
  const runs = all.filter(({ kind }) => kind === 'run');
  const panels = lossPanels(runs);
  const shared = sharedFigures(runs);
  const measured = measuredOf(all);
  const accuracies = accuracyFigure(measured);
  const timelines = runs.map(({ name, summary }, i) =>
    timelineFigure(summary, `timeline-${i + 1}`, `Who computed when: ${name}`),
  );
  const sections: Section[] = [
    {
      id: 'runs',
      title: all.length > 1 ? 'Runs' : 'The run',
      content: [runsTable(all), alarms(contents)],
    },
    ...curveSections(runs, panels, shared, timelines),
    ...(measured.length === 0
      ? []
      : [
          {
            id: 'evaluations',
            title: 'Evaluations',
            content: [
              note(
                'Of several probe seeds the accuracy is the mean; ± says how far other ' +
                  'photographs would move it, “over seeds” how far other probes would.',
              ),
              plots([accuracies], ['Accuracy, with one standard error']),
              evaluationsTable(measured),
              ...matricesOf(measured).map(confusion),
            ],
          },
        ]),
    ...(galleries.length === 0
      ? []
      : [{ id: 'neighbours', title: 'Nearest neighbours', content: galleries.map(galleryOf) }]),
  ];
  return {
    page: pageText(contents, sections),
    figures: [
      ...(runs.length > 1 ? [shared.loss] : []),
      ...panels,
      ...(runs.length > 0 ? [shared.std, shared.knn, shared.rate, shared.speed] : []),
      ...[accuracies, ...timelines],
    ].filter((figure) => figure !== null),
  };
}

/** What went wrong, where anything did. */
function alarms({ runs }: ReportContents): Html {
  const lines = runs.flatMap(({ name, summary }) => [
    ...(summary.failure === null ? [] : [`${name} failed: ${summary.failure.message}`]),
    ...summary.warnings.slice(-3).map(({ message }) => `${name}, warning: ${message}`),
  ]);
  return joined(lines.map((line) => element('p', { class: 'alarm' }, line)));
}

function pageText(contents: ReportContents, sections: readonly Section[]): string {
  const { title, made, version } = contents;
  const links = sections.map(({ id, title: text }) =>
    element('li', {}, element('a', { href: `#${id}` }, text)),
  );
  const body = sections.map(({ id, title: text, content }) =>
    element(
      'section',
      { id, 'aria-labelledby': `${id}-h` },
      element('h2', { id: `${id}-h` }, text),
      ...content,
    ),
  );
  const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<style>
${pageStyle}
${figureStyle}
</style>
</head>
<body>
<a class="skip" href="#runs">Skip to the contents</a>
<header>
<h1>${escaped(title)}</h1>
<nav aria-label="Parts of the report">${element('ul', {}, ...links).html}</nav>
</header>
<main>
${joined(body).html}
</main>
<footer>Made by Tandem ${escaped(version)} on ${escaped(made.slice(0, 16).replace('T', ' '))} UTC from \
the events of the runs. The page loads nothing and runs nothing.</footer>
</body>
</html>
`;
}
