import { ElasticTabs, sortedKeys, terminalText } from '../../kubeapi/index.ts';

/** Longest annotation, key and all, that stands beside its key. */
const ANNOTATION_CHARS = 140;
/** Where kubectl keeps the last manifest: it would repeat the object. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** What `describe` says of one object: lines of cells, two spaces deeper at each level. */
export class Description {
  #text = '';

  /** @param cells the last one ends the line */
  line(level: number, ...cells: readonly (string | number)[]): void {
    this.#text += `${'  '.repeat(level)}${terminalText(cells.join('\t'))}\n`;
  }

  /** A title and beside it one entry in each line. */
  entries(title: string, entries: readonly string[]): void {
    const [first = '<none>', ...more] = entries;
    this.line(0, `${title}:`, first);
    for (const entry of more) this.line(0, '', entry);
  }

  labels(title: string, labels: Readonly<Record<string, string>> = {}): void {
    this.entries(
      title,
      sortedKeys(labels).map((key) => `${key}=${labels[key]}`),
    );
  }

  annotations(annotations: Readonly<Record<string, string>> = {}): void {
    const entries = sortedKeys(annotations)
      .filter((key) => key !== LAST_APPLIED)
      .flatMap((key) => annotationLines(key, annotations[key] ?? ''));
    this.entries('Annotations', entries);
  }

  toString(): string {
    return new ElasticTabs({ minWidth: 0, padding: 2 }).format(this.#text);
  }
}

function annotationLines(key: string, text: string): string[] {
  const value = text.replace(/\n$/, '');
  const bytes = Buffer.byteLength(key) + Buffer.byteLength(value);
  if (bytes + 2 <= ANNOTATION_CHARS && !value.includes('\n')) return [`${key}: ${value}`];
  return [`${key}:`, ...value.split('\n').map((line) => `  ${shortened(line)}`)];
}

function shortened(line: string): string {
  const most = ANNOTATION_CHARS - 2;
  return Buffer.byteLength(line) > most ? `${Buffer.from(line).subarray(0, most).toString()}...` : line;
}
