import { boolFlag, listFlag, stringFlag } from './flag.ts';

/** How a command that shows, deletes or waits for objects is told which. */
export const selectionFlags = {
  selector: stringFlag({ short: 'l', value: 'SELECTOR', help: 'only those with these labels, such as app=web' }),
  'field-selector': stringFlag({ value: 'SELECTOR', help: 'only those with these fields, such as spec.nodeName=n1' }),
  'all-namespaces': boolFlag({ short: 'A', help: 'of every namespace' }),
  filename: listFlag({
    short: 'f',
    value: 'FILE,…',
    split: true,
    source: 'file',
    help: 'the objects that these manifests name, or those of these folders; - is stdin',
  }),
  recursive: boolFlag({ short: 'R', help: 'also the manifests in folders below the folder of -f' }),
} as const;
