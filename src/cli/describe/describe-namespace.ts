import {
  type LimitRange,
  type LimitRangeItem,
  type Namespace,
  type ResourceQuota,
  sortedKeys,
} from '../../kubeapi/index.ts';
import { amountOf, amountText } from './amount.ts';
import { compareTexts } from './compare-texts.ts';
import type { Description } from './description.ts';
import { moment } from './moment.ts';

/** Conditions tell why a namespace does not go. */
interface NamespaceConditions {
  readonly conditions?: readonly NamespaceCondition[];
}

interface NamespaceCondition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string | null;
  readonly reason?: string;
  readonly message?: string;
}

/** What a namespace's objects may have; undefined where the server has no such type. */
export interface NamespaceLimits {
  readonly quotas: readonly ResourceQuota[] | undefined;
  readonly ranges: readonly LimitRange[] | undefined;
}

export function describeNamespace(
  text: Description,
  { metadata, status = {} }: Namespace,
  { quotas, ranges }: NamespaceLimits,
): void {
  text.line(0, 'Name:', metadata.name);
  text.labels('Labels', metadata.labels);
  text.annotations(metadata.annotations);
  text.line(0, 'Status:', status.phase ?? '');
  const { conditions = [] } = status as NamespaceConditions;
  if (conditions.length > 0) describeConditions(text, conditions);
  if (quotas !== undefined) describeQuotas(text, quotas);
  if (ranges !== undefined) describeRanges(text, ranges);
}

function describeConditions(text: Description, conditions: readonly NamespaceCondition[]): void {
  text.line(0, 'Conditions:');
  text.line(1, 'Type', 'Status', 'LastTransitionTime', 'Reason', 'Message');
  text.line(1, '----', '------', '------------------', '------', '-------');
  for (const { type, status: value, lastTransitionTime, reason = '', message = '' } of conditions) {
    text.line(1, type, value, moment(lastTransitionTime), reason, message);
  }
}

function describeQuotas(text: Description, quotas: readonly ResourceQuota[]): void {
  text.line(0, '');
  text.line(0, quotas.length === 0 ? 'No resource quota.' : 'Resource Quotas');
  for (const { metadata, spec, status } of [...quotas].sort((one, other) =>
    compareTexts(one.metadata.name, other.metadata.name),
  )) {
    text.line(1, 'Name:', metadata.name);
    const { scopes = [] } = spec ?? {};
    if (scopes.length > 0) text.line(1, 'Scopes:', [...scopes].sort(compareTexts).join(', '));
    text.line(1, 'Resource', 'Used', 'Hard');
    text.line(1, '--------', '---', '---');
    const { hard = {}, used = {} } = status ?? {};
    for (const resource of sortedKeys(hard)) {
      text.line(1, resource, amountText(amountOf(used[resource])), amountText(amountOf(hard[resource])));
    }
  }
}

function describeRanges(text: Description, ranges: readonly LimitRange[]): void {
  text.line(0, '');
  if (ranges.length === 0) {
    text.line(0, 'No LimitRange resource.');
    return;
  }
  text.line(0, 'Resource Limits');
  text.line(0, ' Type', 'Resource', 'Min', 'Max', 'Default Request', 'Default Limit', 'Max Limit/Request Ratio');
  text.line(0, ' ----', '--------', '---', '---', '---------------', '-------------', '-----------------------');
  for (const item of ranges.flatMap(({ spec }) => spec?.limits ?? [])) describeRange(text, item);
}

function describeRange(text: Description, item: LimitRangeItem): void {
  const columns = [item.min, item.max, item.defaultRequest, item.default, item.maxLimitRequestRatio];
  // kubectl shows the resources of one item in no order.
  for (const resource of sortedKeys(Object.assign({}, ...columns))) {
    const amounts = columns.map((amounts) => {
      const amount = amounts?.[resource];
      return amount === undefined ? '-' : amountText(amountOf(amount));
    });
    text.line(0, ` ${item.type}`, resource, ...amounts);
  }
}
