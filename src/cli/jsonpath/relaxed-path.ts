/**
 * The path of `--sort-by` and of a custom column: `name1.name2`, with or without a dot before it and braces around it.
 *
 * @returns `{.name1.name2}`
 * @throws Error in kubectl's words
 */
export function relaxedPath(text: string): string {
  if (text === '') return text;
  const [, braced, plain] = /^\{\.?([^{}]+)\}$|^\.?([^{}]+)$/.exec(text) ?? [];
  const path = braced ?? plain;
  if (path === undefined) {
    const forms = "a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'";
    throw new Error(`unexpected path string, expected ${forms}`);
  }
  return `{.${path}}`;
}
