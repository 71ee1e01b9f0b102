import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const PAGE = resolve(import.meta.dirname, '../../../deploy/README.md');

/** Commands of a page, and where they are typed. */
export interface PageBlock {
  /** The title above it. */
  readonly section: string;
  readonly hosts: readonly string[];
  /** What must be true of a host for the block to be typed there, such as `there is no line for cri`; '' for nothing. */
  readonly condition: string;
  readonly isInClone: boolean;
  readonly script: string;
}

/** The blocks of `deploy/README.md` in order. The first line of each names its hosts: `# host2, host3, where …`. */
export function readPage(): readonly PageBlock[] {
  const blocks: PageBlock[] = [];
  let section = '';
  for (const [, title, script = ''] of readFileSync(PAGE, 'utf8').matchAll(/^## ([^\n]*)$|^```sh\n(.*?)^```$/gms)) {
    section = title ?? section;
    if (title !== undefined) continue;
    const [, hosts = '', place, condition = ''] =
      /^# (host\d(?:, host\d)*)(?:, in (a clone of this repository)|, where (.*))?\n/.exec(script) ?? [];
    if (hosts === '') throw new Error(`${PAGE}: a block does not begin with the names of its hosts: ${script}`);
    blocks.push({ section, hosts: hosts.split(', '), condition, isInClone: place !== undefined, script });
  }
  return blocks;
}
