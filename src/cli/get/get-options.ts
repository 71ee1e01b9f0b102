import type { ClientFlagValues } from '../client-flags.ts';
import type { NamedObjects } from '../object-kinds.ts';
import type { FormatFile, OutputFormat } from './output-format.ts';

/** What `podwire get` was asked for. */
export interface GetOptions {
  /** Of the command line; the objects of `files` are added to them. */
  readonly objects: readonly NamedObjects[];
  readonly files: readonly string[];
  /** Of folders among them, also what is in the folders below. */
  readonly recursive: boolean;
  readonly values: ClientFlagValues;
  readonly allNamespaces: boolean;
  readonly format: OutputFormat | FormatFile;
  readonly headers: boolean;
  readonly showKind: boolean;
  readonly showLabels: boolean;
  readonly labelColumns: readonly string[];
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  /** `{.path}`; '' is the order of the server. */
  readonly sortBy: string;
  /** Objects of one page; 0 is all at once. */
  readonly chunkSize: number;
  readonly ignoreNotFound: boolean;
  readonly allowMissingKeys: boolean;
  readonly watch: 'no' | 'after' | 'only';
  readonly watchEvents: boolean;
}
