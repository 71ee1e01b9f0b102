import {
  ageOf,
  column,
  type Event,
  type KubeObject,
  type Lease,
  type ListMeta,
  namespaceLayout,
  nodeLayout,
  plainLayout,
  podLayout,
  renderTable,
  type ServiceAccount,
  type Table,
  type TableLayout,
} from '../kubeapi/index.ts';
import type { ApiObject } from './api-object.ts';
import type { Resource } from './resource.ts';

/** What a row holds beside its cells. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** The query's `includeObject`; anything unknown is the default. */
export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject');
  return value === 'None' || value === 'Object' ? value : 'Metadata';
}

export interface TableForm {
  readonly apiVersion: 'meta.k8s.io/v1' | 'meta.k8s.io/v1beta1';
  readonly metadata: ListMeta;
  readonly include: IncludeObject;
  /** Default true. */
  readonly withColumns?: boolean;
}

/** The Table that `kubectl get` prints of objects of one kind. */
export function tableOf(resource: Resource, objects: readonly ApiObject[], form: TableForm): Table {
  return renderTable(layoutOf(resource), objects, {
    metadata: form.metadata,
    includeObject: form.include,
    version: form.apiVersion === 'meta.k8s.io/v1' ? 'v1' : 'v1beta1',
    withColumns: form.withColumns ?? true,
  });
}

const eventLayout: TableLayout<Event> = {
  columns: [
    column('Last Seen'),
    column('Type'),
    column('Reason'),
    column('Object'),
    column('Subobject', 1),
    column('Source', 1),
    column('Message'),
    column('First Seen', 1),
    column('Count', 1),
    column('Name', 1),
  ],
  row: (event, now) => {
    const { involvedObject: involved, source = {} } = event;
    const first = event.firstTimestamp ?? event.eventTime;
    const last = event.lastTimestamp ?? first;
    return {
      cells: [
        ageOf(last, now),
        event.type ?? '',
        event.reason ?? '',
        `${(involved.kind ?? '').toLowerCase()}/${involved.name ?? ''}`,
        involved.fieldPath ?? '',
        [source.component ?? event.reportingComponent ?? '', source.host ?? '']
          .filter((text) => text !== '')
          .join(', '),
        (event.message ?? '').trim(),
        ageOf(first, now),
        event.count ?? 1,
        event.metadata.name,
      ],
    };
  },
};

const leaseLayout: TableLayout<Lease> = {
  columns: [column('Name'), column('Holder'), column('Age')],
  row: ({ metadata, spec }, now) => ({
    cells: [metadata.name, spec?.holderIdentity ?? '', ageOf(metadata.creationTimestamp, now)],
  }),
};

const serviceAccountLayout: TableLayout<ServiceAccount> = {
  columns: [column('Name'), column('Secrets'), column('Age')],
  row: ({ metadata, secrets = [] }, now) => ({
    cells: [metadata.name, secrets.length, ageOf(metadata.creationTimestamp, now)],
  }),
};

/** By plural; each gets objects of its own kind, whose shape was checked when they were written. */
const layouts: Readonly<Record<string, unknown>> = {
  events: eventLayout,
  leases: leaseLayout,
  namespaces: namespaceLayout,
  nodes: nodeLayout,
  pods: podLayout,
  serviceaccounts: serviceAccountLayout,
};

function layoutOf({ plural }: Resource): TableLayout<KubeObject> {
  return (layouts[plural] ?? plainLayout) as TableLayout<KubeObject>;
}
