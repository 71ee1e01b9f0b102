/** metav1.ListMeta. */
export interface ListMeta {
  /** Where a watch goes on from. */
  readonly resourceVersion?: string;
  /** Opaque token for the next page; absent or `''` on the last one. */
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/** A list answer such as PodList; its items carry no `kind`. */
export interface List<T> {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ListMeta;
  readonly items: readonly T[];
}
