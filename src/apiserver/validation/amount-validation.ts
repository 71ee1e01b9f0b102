import type { JsonObject } from '../../common/json-object.ts';
import { quantityNanos } from '../../kubeapi/index.ts';
import { type FieldError, forbiddenField, invalidField, invalidShown, requiredField } from '../api-error.ts';
import { valueAt } from '../api-object.ts';
import { qualifiedNameFaults } from '../object-names.ts';

type Amounts = Readonly<Record<string, string>>;

/** What containers may ask for by a name without a domain. */
const containerAmounts = ['cpu', 'memory', 'ephemeral-storage'];

/** What is counted elsewhere. */
const otherAmounts = [
  ...containerAmounts.flatMap((name) => [`requests.${name}`, `limits.${name}`]),
  'configmaps',
  'persistentvolumeclaims',
  'pods',
  'replicationcontrollers',
  'requests.storage',
  'resourcequotas',
  'secrets',
  'services',
  'services.loadbalancers',
  'services.nodeports',
  'storage',
];

/** @see kubernetes pkg/apis/core/validation, ValidateContainerResourceRequirements */
export function resourceErrors(path: string, container: JsonObject): FieldError[] {
  const read = (which: string): Amounts => (valueAt(container, ['resources', which]) ?? {}) as Amounts;
  const limits = read('limits');
  const requests = read('requests');
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  const isBare = names.some(isHugePages) && !names.some((name) => name === 'cpu' || name === 'memory');
  return [
    ...amountErrors(`${path}.limits`, limits),
    ...Object.entries(requests).flatMap(([name, amount]) => [
      ...amountErrors(`${path}.requests`, { [name]: amount }),
      ...limitErrors(path, { name, amount, limit: limits[name] }),
    ]),
    ...(isBare ? [forbiddenField(path, 'HugePages require cpu or memory')] : []),
  ];
}

const NANO = 1_000_000_000n;

/** Types are checked before: it is a quantity. */
function nanosOf(amount: string): bigint {
  return quantityNanos(amount) ?? 0n;
}

/** What a map of amounts says of each. */
export function amountErrors(path: string, amounts: Amounts): FieldError[] {
  return Object.entries(amounts).flatMap(([name, amount]) => {
    const field = `${path}[${name}]`;
    return [
      ...amountNameErrors(field, name),
      ...(nanosOf(amount) < 0n ? [invalidField(field, amount, 'must be greater than or equal to 0')] : []),
      // There upstream prints the amount as Go source.
      ...(isExtended(name) && nanosOf(amount) % NANO !== 0n ? [invalidField(field, amount, 'must be an integer')] : []),
    ];
  });
}

function amountNameErrors(field: string, name: string): FieldError[] {
  const errors = (rules: readonly string[]): FieldError[] => rules.map((rule) => invalidShown(field, name, rule));
  const faults = qualifiedNameFaults(name);
  if (faults.length > 0 && !name.includes('/')) return errors(faults);
  if (name.includes('/')) {
    const isUsable = isExtended(name) || name.includes('kubernetes.io/');
    return errors([...faults, ...(isUsable ? [] : ["doesn't follow extended resource name standard"])]);
  }
  if (containerAmounts.includes(name) || isHugePages(name)) return [];
  const isKnown = otherAmounts.includes(name);
  return errors([
    ...(isKnown ? [] : ['must be a standard resource type or fully qualified']),
    'must be a standard resource for containers',
  ]);
}

/** @param one `limit`: undefined where there is none */
function limitErrors(
  path: string,
  { name, amount, limit }: { readonly name: string; readonly amount: string; readonly limit: string | undefined },
): FieldError[] {
  const isFixed = isExtended(name) || isHugePages(name);
  if (limit === undefined) {
    return isFixed ? [requiredField(`${path}.limits`, 'Limit must be set for non overcommitable resources')] : [];
  }
  const [asked, most] = [nanosOf(amount), nanosOf(limit)];
  const field = `${path}.requests`;
  if (isFixed && asked !== most) return [invalidField(field, amount, `must be equal to ${name} limit of ${limit}`)];
  if (asked <= most) return [];
  return [invalidField(field, amount, `must be less than or equal to ${name} limit of ${limit}`)];
}

function isHugePages(name: string): boolean {
  return name.startsWith('hugepages-');
}

/** A name with somebody's domain, who counts it in whole numbers. */
function isExtended(name: string): boolean {
  if (!name.includes('/') || name.includes('kubernetes.io/') || name.startsWith('requests.')) return false;
  return qualifiedNameFaults(`requests.${name}`).length === 0;
}
