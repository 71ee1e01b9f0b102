/** By code units: the order of Go's strings for ASCII. */
export function compareTexts(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
