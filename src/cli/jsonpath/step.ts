/** One end of a slice: `value` counts when it is known; a derived end is the element behind a single index. */
export interface SliceBound {
  readonly value?: number;
  readonly derived?: boolean;
}

/** One step of the way from some values to others. */
export type Step =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'literal'; readonly value: number | boolean }
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'wildcard' }
  | { readonly kind: 'descent' }
  | { readonly kind: 'slice'; readonly from: SliceBound; readonly to: SliceBound; readonly step: SliceBound }
  | { readonly kind: 'union'; readonly ways: readonly Path[] }
  | { readonly kind: 'filter'; readonly left: Path; readonly operator: string; readonly right: Path }
  | { readonly kind: 'exists'; readonly way: Path }
  | { readonly kind: 'word'; readonly word: string };

/** The steps of one `{…}`, or a text between two of them. */
export type Path = readonly Step[];

/** A template, part by part in the order in which they are shown. */
export type Template = readonly Path[];
