import { isJsonObject } from '../../common/json-object.ts';
import type { KubeObject } from '../../kubeapi/index.ts';
import { evaluate } from '../jsonpath/evaluate.ts';
import { sprint } from '../jsonpath/go-text.ts';
import { reworded, UsageError } from '../usage-error.ts';
import type { Goal } from './goal.ts';

/**
 * Whether an object that is there is as it must be.
 *
 * @throws UsageError in kubectl's words, for a path that is of no single value
 */
export function isMet(goal: Goal, object: KubeObject): boolean {
  switch (goal.kind) {
    case 'create':
      return true;
    case 'delete':
      return false;
    case 'condition':
      return conditionsOf(object).some(({ type, status }) => {
        return type.toLowerCase() === goal.name && status.toLowerCase() === goal.status;
      });
    case 'jsonpath': {
      const [found, ...others] = reworded(() => evaluate(goal.path, object).flat(), '');
      if (others.length > 0) throw new UsageError('given jsonpath expression matches more than one value');
      if (goal.value === undefined || found === undefined) return found !== undefined;
      if (Array.isArray(found) || isJsonObject(found)) {
        throw new UsageError('jsonpath leads to a nested object or list which is not supported');
      }
      return sprint(found) === goal.value;
    }
  }
}

function conditionsOf(object: KubeObject): readonly { readonly type: string; readonly status: string }[] {
  const { status } = object as { readonly status?: { readonly conditions?: ReturnType<typeof conditionsOf> } };
  return status?.conditions ?? [];
}
