/** The middle of `values`; NaN when there are none. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The value below which `percent` of `values` lie, between its neighbours by weight; NaN when there are none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  const place = (percent / 100) * (sorted.length - 1);
  const [below = Number.NaN, above = below] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (above - below) * (place - Math.floor(place));
}

/** NaN when there are none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The median of `ours[i] / peers[i]`. Runs that were made beside each other shared the machine's noise, so this is
 * steadier than the ratio of two medians.
 */
export function pairedRatio(ours: readonly number[], peers: readonly number[]): number {
  return median(ours.flatMap((value, index) => (peers[index] === undefined ? [] : [value / peers[index]])));
}

/** `1.07 ×` */
export function times(ratio: number): string {
  return Number.isFinite(ratio) ? `${ratio.toFixed(2)} ×` : '–';
}
