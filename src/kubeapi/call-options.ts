import type { RequestHeaders } from './credentials.ts';
import type { ResourceAddress } from './resource-type.ts';

export const CALL_TIMEOUT_MS = 30_000;
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
export interface KubeClientOptions {
  /** Default `podwire (<os>/<arch>)`. */
  readonly userAgent?: string;
  /** Of a call and its whole answer; of a stream until its head. Default {@link CALL_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
  /** Default {@link MAX_ANSWER_BYTES}. */
  readonly maxAnswerBytes?: number;
  /** Told each text of a `Warning: 299` header; kubectl prints them. */
  readonly onWarning?: (text: string) => void;
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface CallOptions {
  readonly query?: Query;
  readonly headers?: RequestHeaders;
  /** Default `application/json`. */
  readonly accept?: string;
  /** Sent as JSON, or as it is when it is text. */
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

export type ObjectOptions = Omit<CallOptions, 'body' | 'contentType'> & Omit<ResourceAddress, 'name'>;

export interface ListOptions extends ObjectOptions {
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Items of a page; `metadata.continue` of the answer leads to the next. */
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

export interface WatchOptions extends Omit<ListOptions, 'limit' | 'continue'> {
  /** The server ends the watch after this; the client gives up a little later. Default 300. */
  readonly timeoutSeconds?: number;
  /** Default true: the server says now and then how far it is. Some have none to give for a watch that starts anywhere. */
  readonly bookmarks?: boolean;
}

export const patchTypes = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export interface PatchOptions extends ObjectOptions {
  /** Default `strategic`. */
  readonly patchType?: keyof typeof patchTypes;
}

/** metav1.DeleteOptions. */
export interface DeleteOptions extends ObjectOptions {
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  /** Everything is checked and nothing is deleted. Default: false. */
  readonly dryRun?: boolean;
}
