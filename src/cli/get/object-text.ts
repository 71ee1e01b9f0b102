import {
  ElasticTabs,
  formatJson,
  formatYaml,
  type KubeObject,
  terminalText,
  withSortedKeys,
} from '../../kubeapi/index.ts';
import { evaluate } from '../jsonpath/evaluate.ts';
import { columnText, valuesJson, valuesText } from '../jsonpath/show.ts';
import { withoutManagedFields } from '../managed-fields.ts';
import { UsageError } from '../usage-error.ts';
import type { CustomColumn, OutputFormat } from './output-format.ts';

/** Any format but tables, which the server makes. */
export type ObjectFormat = Exclude<OutputFormat, { readonly kind: 'table' }>;

export interface ObjectTextOptions {
  readonly allowMissingKeys: boolean;
  /** Of custom columns. */
  readonly headers: boolean;
  /** In JSON and YAML also who wrote which field; other formats show what they are asked for. */
  readonly managedFields: boolean;
}

/** What a watch wraps an object in when it is asked to show what happened. */
export interface ShownEvent {
  readonly type: string;
  readonly object: KubeObject;
}

export type Shown = KubeObject | ShownEvent | ObjectList;

/** A list as kubectl shows it, whatever kinds are in it. */
export interface ObjectList {
  readonly apiVersion: 'v1';
  readonly kind: 'List';
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly KubeObject[];
}

/** Writes objects one after the other in one format, as kubectl does. */
export class ObjectText {
  readonly #format: ObjectFormat;
  readonly #options: ObjectTextOptions;
  readonly #tabs = new ElasticTabs({ minWidth: 6, padding: 3, remembersWidths: true });
  #count = 0;

  constructor(format: ObjectFormat, options: ObjectTextOptions) {
    this.#format = format;
    this.#options = options;
  }

  /** @throws UsageError when a template does not fit the object */
  format(shown: Shown): string {
    const format = this.#format;
    this.#count += 1;
    switch (format.kind) {
      case 'json':
        return isEvent(shown)
          ? `{"type":${JSON.stringify(shown.type)},"object":${formatJson(shown.object)}}\n`
          : `${formatJson(this.#whole(shown), 4)}\n`;
      case 'yaml':
        return `${this.#count > 1 ? '---\n' : ''}${formatYaml(withSortedKeys(this.#whole(shown)))}`;
      case 'name':
        return objectsIn(isEvent(shown) ? shown.object : shown)
          .map((object) => `${nameOf(object)}\n`)
          .join('');
      case 'jsonpath': {
        const found = this.#evaluated(
          format.template,
          shown,
          `error executing jsonpath ${JSON.stringify(format.text)}: Error executing template: `,
        );
        return format.asJson ? valuesJson(found) : valuesText(found);
      }
      case 'custom-columns':
        return this.#columns(format.columns, shown);
    }
  }

  /** As kubectl: what is wrapped in an event stays as it came. */
  #whole(shown: Shown): Shown {
    if (this.#options.managedFields || isEvent(shown)) return shown;
    return 'items' in shown ? { ...shown, items: shown.items.map(withoutManagedFields) } : withoutManagedFields(shown);
  }

  #columns(columns: readonly CustomColumn[], shown: Shown): string {
    const lines = (isEvent(shown) ? [shown] : objectsIn(shown)).map((object) =>
      columns.map(({ path }) => terminalText(columnText(this.#evaluated(path, object, '', true)))).join('\t'),
    );
    if (this.#options.headers && this.#count === 1) lines.unshift(columns.map(({ title }) => title).join('\t'));
    return lines.length === 0 ? '' : this.#tabs.format(`${lines.join('\n')}\n`);
  }

  #evaluated(
    template: Parameters<typeof evaluate>[0],
    data: unknown,
    before: string,
    allowMissingKeys = this.#options.allowMissingKeys,
  ): readonly unknown[][] {
    try {
      return evaluate(template, data, { allowMissingKeys });
    } catch (thrown) {
      throw new UsageError(`${before}${(thrown as Error).message}`);
    }
  }
}

function isEvent(shown: Shown): shown is ShownEvent {
  return !('metadata' in shown);
}

function objectsIn(shown: KubeObject | ObjectList): readonly KubeObject[] {
  return 'items' in shown ? shown.items : [shown];
}

/** `pod/web`, `lease.coordination.k8s.io/n1`. */
function nameOf({ kind = '', apiVersion = '', metadata }: KubeObject): string {
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
  return `${kind.toLowerCase()}${group}/${metadata.name}`;
}
