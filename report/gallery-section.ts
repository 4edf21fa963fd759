/** The gallery: images that ask, and what a network holds for their like. */
import type { Gallery, GalleryPicture } from './contents.ts';
import { bare, element, type Html, joined, whole } from './html.ts';

function picture({ path, label, source }: GalleryPicture, note: string, size: number): Html {
  const name = label ?? path;
  const side = String(size);
  return element(
    'figure',
    {},
    bare('img', { src: source, alt: `${name} (${path})`, width: side, height: side, title: path }),
    element('figcaption', {}, name, element('small', {}, note)),
  );
}

/** Each query and what the network holds for its like. */
export function galleryOf(gallery: Gallery): Html {
  const { network, searched, size, rows } = gallery;
  return joined([
    element(
      'p',
      { class: 'note' },
      `${network}: nearest of ${whole(searched)} images by cosine similarity of features; no labels ` +
        'were used in finding them. A frame marks the class of the image asked for.',
    ),
    ...rows.map(({ query, neighbours }) =>
      element(
        'div',
        {
          class: 'nearest',
          tabindex: '0',
          role: 'group',
          'aria-label': `Nearest to ${query.path}`,
        },
        element('div', { class: 'query' }, picture(query, 'asked for', size)),
        ...neighbours.map((near) =>
          element(
            'div',
            near.label !== null && near.label === query.label ? { class: 'same' } : {},
            picture(near, near.similarity.toFixed(3), size),
          ),
        ),
      ),
    ),
  ]);
}
