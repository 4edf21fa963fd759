/**
 * The parts of the page that events fill: losses, health of the features, pace, workers.
 */
import type { Figure, ReportRun } from './contents.ts';
import { element, type Html, joined, raw } from './html.ts';
import type { sharedFigures } from './run-figures.ts';
import { goodput, legend, valuesOf } from './sections.ts';

export interface Section {
  id: string;
  title: string;
  content: readonly Html[];
}

export const note = (text: string): Html => element('p', { class: 'note' }, text);

const markNames = [
  ['joined', 'a worker joined'],
  ['left', 'a worker left'],
  ['moved', 'work given to another'],
  ['rewound', 'rewound'],
] as const;

const marksLegend = joined([
  note(
    'Bars: from the first lease of a step to its last result. The latest two minutes with work. ' +
      'Marks in colour:',
  ),
  element(
    'ul',
    { class: 'legend', 'aria-label': 'Marks of the timeline' },
    ...markNames.map(([kind, text]) =>
      element(
        'li',
        {},
        raw(
          '<svg class="fig key" viewBox="0 0 10 10" aria-hidden="true">' +
            `<path class="mark ${kind}" d="M5 0V10"/></svg>`,
        ),
        text,
      ),
    ),
  ),
]);

/** A grid of figures with a heading each. */
export function plots(figures: readonly (Figure | null)[], titles: readonly string[]): Html {
  const boxes = figures.flatMap((figure, i) =>
    figure === null
      ? []
      : [element('div', {}, element('h3', {}, titles[i] ?? ''), raw(figure.inline))],
  );
  return element('div', { class: boxes.length === 1 ? 'plots one' : 'plots' }, ...boxes);
}

/** What events tell; nothing where there are only encoders. */
export function curveSections(
  runs: readonly ReportRun[],
  panels: readonly Figure[],
  shared: ReturnType<typeof sharedFigures>,
  timelines: readonly (Figure | null)[],
): Section[] {
  if (runs.length === 0) return [];
  const many = runs.length > 1;
  return [
    {
      id: 'losses',
      title: 'Loss',
      content: [
        note(
          'SimSiam: negative cosine similarity of prediction and projection, 0 is unrelated, −1 is ' +
            'equal. With labels: cross-entropy. ' +
            'Faint: each step; strong: a running mean over a twentieth of the run.',
        ),
        legend(runs),
        plots(
          many ? [shared.loss, ...panels] : panels,
          many ? ['All runs', ...runs.map(({ name }) => name)] : runs.map(({ name }) => name),
        ),
      ],
    },
    {
      id: 'health',
      title: 'Health of the features',
      content: [
        note(
          'std · √d is the standard deviation of the normalised outputs times the root of their ' +
            'width: 1 fills the space, 0 has collapsed to a point. kNN: a vote of the nearest ' +
            'neighbours among the features, with one standard error.',
        ),
        legend(runs),
        plots([shared.std, shared.knn], ['std · √d', 'kNN accuracy while training']),
      ],
    },
    {
      id: 'pace',
      title: 'Schedule and pace',
      content: [
        legend(runs),
        plots([shared.rate, shared.speed], ['Learning rate of the encoder', 'Images a second']),
        ...runs.map(valuesOf),
      ],
    },
    {
      id: 'workers',
      title: 'Workers',
      content: [
        marksLegend,
        ...runs.flatMap((run, i) => {
          const timeline = timelines[i];
          const drawn =
            timeline == null
              ? note('No event tells who computed when.')
              : element(
                  'div',
                  {
                    class: 'scroll timeline',
                    tabindex: '0',
                    role: 'group',
                    'aria-label': `Timeline of ${run.name}`,
                  },
                  raw(timeline.inline),
                );
          return [element('h3', {}, run.name), drawn, goodput(run)];
        }),
      ],
    },
  ];
}
