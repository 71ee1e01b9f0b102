import type { Selection } from '../found-objects.ts';
import type { ObjectChoice } from '../targets.ts';
import type { FormatFile, OutputFormat } from './output-format.ts';

/** What `podwire get` was asked for. */
export interface GetOptions extends ObjectChoice, Selection {
  readonly format: OutputFormat | FormatFile;
  readonly headers: boolean;
  readonly showKind: boolean;
  readonly showLabels: boolean;
  readonly labelColumns: readonly string[];
  readonly ignoreNotFound: boolean;
  /** Shown in JSON and YAML. */
  readonly managedFields: boolean;
  readonly allowMissingKeys: boolean;
  readonly watch: 'no' | 'after' | 'only';
  readonly watchEvents: boolean;
}
