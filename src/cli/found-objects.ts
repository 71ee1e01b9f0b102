import {
  apiVersionOf,
  isNotFound,
  type KubeObject,
  type List,
  plainLayout,
  type ResourceType,
  renderTable,
  resourcePath,
  type Table,
} from '../kubeapi/index.ts';
import { listRefusal } from './list-refusal.ts';
import { missingCause } from './missing-namespace.ts';
import type { Target } from './targets.ts';
import type { ClusterCall } from './with-client.ts';

/** As kubectl asks: a Table, or the plain objects of a server that knows none. */
export const ACCEPT_TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

/** What the server has of a target, in one of two forms. */
export interface Found<Form> {
  readonly target: Target;
  readonly found: Form;
  /** Of the list, where a watch goes on from. */
  readonly resourceVersion: string;
}

export interface Answers<Form> {
  readonly answers: readonly Found<Form>[];
  /** In the order of the targets. What is not there is none where `ignoreNotFound` is set. */
  readonly failures: readonly unknown[];
}

/** Which objects of a list, how many at once, and in which order. */
export interface Selection {
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  /** Objects of one page; 0 is all at once. */
  readonly chunkSize: number;
  /** `{.path}`; '' is the order of the server. */
  readonly sortBy: string;
}

interface FindScope {
  readonly ignoreNotFound: boolean;
  /** Those that there were before. */
  readonly failures: readonly unknown[];
  readonly signal: AbortSignal;
}

/** Asks for each target in turn; one that fails does not keep the others from being shown. */
export async function findAll<Form>(
  targets: readonly Target[],
  find: (target: Target) => Promise<Found<Form>>,
  { ignoreNotFound, failures: before, signal }: FindScope,
): Promise<Answers<Form>> {
  const answers: Found<Form>[] = [];
  const failures = [...before];
  for (const target of targets) {
    try {
      answers.push(await find(target));
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      if (ignoreNotFound && isNotFound(thrown)) continue;
      failures.push(thrown);
    }
  }
  return { answers, failures };
}

/** For no objects at all some servers send no rows. */
type SentTable = Omit<Table, 'rows'> & { readonly rows: Table['rows'] | null };

/** The target as a Table. */
export async function findTable(target: Target, options: Selection, call: ClusterCall): Promise<Found<Table>> {
  const isSorted = options.sortBy !== '';
  const pages: Table[] = [];
  const list = await eachPage<SentTable | List<KubeObject> | KubeObject>(target, options, call, {
    accept: ACCEPT_TABLE,
    includeObject: isSorted ? 'Object' : undefined,
    read: (page) =>
      pages.push(
        'columnDefinitions' in page
          ? { ...page, rows: page.rows ?? [] }
          : renderTable(plainLayout, objectsOf(page, target.type)),
      ),
  });
  const [first] = pages;
  const found = { ...(first ?? renderTable(plainLayout, [])), rows: pages.flatMap(({ rows }) => rows) };
  return { target, found, resourceVersion: list };
}

/** The target as its objects, each with its kind. */
export async function findObjects(
  target: Target,
  options: Selection,
  call: ClusterCall,
): Promise<Found<readonly KubeObject[]>> {
  const found: KubeObject[] = [];
  const list = await eachPage<List<KubeObject> | KubeObject>(target, options, call, {
    read: (page) => found.push(...objectsOf(page, target.type)),
  });
  return { target, found, resourceVersion: list };
}

/** @returns the resource version of the list */
async function eachPage<Page extends { readonly metadata: object }>(
  { type, name, namespace }: Target,
  { labelSelector, fieldSelector, chunkSize, sortBy }: Selection,
  call: ClusterCall,
  form: { readonly accept?: string; readonly includeObject?: string | undefined; readonly read: (page: Page) => void },
): Promise<string> {
  const { accept, includeObject, read } = form;
  const { client, signal } = call;
  // What is to be sorted is asked for as a whole, as kubectl does.
  const limit = name !== undefined || sortBy !== '' || chunkSize === 0 ? undefined : chunkSize;
  const selection = name === undefined ? { labelSelector, fieldSelector, limit } : {};
  for (let next: string | undefined; ; ) {
    const asked = client.call<Page>('GET', resourcePath(type, { namespace, name }), {
      signal,
      query: { ...selection, includeObject, continue: next },
      ...(accept === undefined ? {} : { accept }),
    });
    const page: Page = await asked.catch(async (thrown: unknown) => {
      throw name === undefined ? listRefusal(thrown, type, selection) : await missingCause(thrown, namespace, call);
    });
    read(page);
    const { continue: more, resourceVersion = '' } = page.metadata as { continue?: string; resourceVersion?: string };
    if (name !== undefined || more === undefined || more === '') return resourceVersion;
    next = more;
  }
}

/** The items of a typed list carry no kind. */
function objectsOf(page: List<KubeObject> | KubeObject, type: ResourceType<KubeObject>): KubeObject[] {
  const apiVersion = apiVersionOf(type);
  const objects = 'items' in page ? page.items : [page];
  return objects.map((object) => ({ apiVersion, kind: type.kind, ...object }));
}
