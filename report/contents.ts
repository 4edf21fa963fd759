/**
 * What a report is made of: the summaries of some runs (the one fold), their evaluations, and a
 * gallery where one was asked for. Everything is data; nothing here reads a file or a clock.
 */
import type { Evaluation } from '../shared/core/evaluation.ts';
import type { RunSummary } from '../shared/core/summary.ts';

export interface ReportRun {
  /** Unlike every other one's. */
  name: string;
  /** An encoder folder has evaluations and no events. */
  kind: 'run' | 'encoder';
  summary: RunSummary;
  evaluations: readonly Evaluation[];
}

export interface GalleryPicture {
  /** Path in the data set. */
  path: string;
  label: string | null;
  /** `data:image/…;base64,…` */
  source: string;
}

export interface GalleryRow {
  query: GalleryPicture;
  /** Nearest first. */
  neighbours: readonly (GalleryPicture & { similarity: number })[];
}

export interface Gallery {
  /** Which network looked: a run's name and step. */
  network: string;
  /** Images that were searched. */
  searched: number;
  /** Side of a picture, pixels. */
  size: number;
  rows: readonly GalleryRow[];
}

export interface ReportContents {
  title: string;
  /** ISO 8601, UTC. */
  made: string;
  /** The version of the program. */
  version: string;
  runs: readonly ReportRun[];
  galleries: readonly Gallery[];
}

/** A picture of the report, as a file and in the page. */
export interface Figure {
  /** Stem of its file's name. */
  id: string;
  /** The SVG alone, with title, legend and paper. */
  file: string;
  /** The SVG for the page, which has a heading and a legend of its own. */
  inline: string;
}
