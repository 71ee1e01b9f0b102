import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { pods } from '../kubeapi/index.ts';
import { forbidden } from './api-error.ts';
import { type ApiObject, objectsAt, textAt } from './api-object.ts';

/*
 * What a real apiserver's admission does with every pod, where nobody has made classes or taken plugins away.
 */

/** How long a pod stays on a node that is gone, in seconds. */
const GONE_NODE_SECONDS = 300;

const goneNodeKeys = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

/** The classes that a cluster always has. */
const priorities: Readonly<Record<string, number>> = {
  '': 0,
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

const PREEMPTION_POLICY = 'PreemptLowerPriority';

/** Fills in the tolerations and the priority that a pod does not name. */
export function withAdmissionDefaults(pod: ApiObject): ApiObject {
  const spec = isJsonObject(pod['spec']) ? pod['spec'] : {};
  const priority = priorityOf(spec);
  return {
    ...pod,
    spec: {
      ...(priority === undefined ? {} : { priority, preemptionPolicy: PREEMPTION_POLICY }),
      ...spec,
      tolerations: tolerationsOf(spec),
    },
  };
}

/**
 * @throws ApiError ERR_FORBIDDEN for a new pod with a priority that its class does not have, a runtime class, for there
 * are none, or an overhead, which is a class's to say
 */
export function admitNewPod(pod: ApiObject): void {
  const spec = isJsonObject(pod['spec']) ? pod['spec'] : {};
  const refuse = (why: string): Error => forbidden(pods, pod.metadata.name, why);
  const given = (what: string): string =>
    `the ${what} must not be provided in pod spec; priority admission controller computed`;
  const priority = priorityOf(spec);
  if (priority === undefined) {
    throw refuse(`no PriorityClass with name ${textAt(spec, ['priorityClassName'])} was found`);
  }
  const { priority: asked = priority, preemptionPolicy = PREEMPTION_POLICY } = spec;
  if (asked !== priority) {
    throw refuse(
      `${given(`integer value of priority (${String(asked)})`)} ${priority} from the given PriorityClass name`,
    );
  }
  if (preemptionPolicy !== PREEMPTION_POLICY) {
    const value = `string value of PreemptionPolicy (${String(preemptionPolicy)})`;
    throw refuse(`${given(value)} ${PREEMPTION_POLICY} from the given PriorityClass name`);
  }
  const { runtimeClassName, overhead } = spec;
  if (typeof runtimeClassName === 'string') {
    throw refuse(`pod rejected: RuntimeClass ${JSON.stringify(runtimeClassName)} not found`);
  }
  if (overhead !== undefined) {
    throw refuse('pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
  }
}

/** undefined: there is no such class. */
function priorityOf(spec: JsonObject): number | undefined {
  const name = textAt(spec, ['priorityClassName']);
  return Object.hasOwn(priorities, name) ? priorities[name] : undefined;
}

function tolerationsOf(spec: JsonObject): readonly JsonObject[] {
  const given = objectsAt(spec, ['tolerations']);
  const missing = goneNodeKeys.filter(
    (wanted) =>
      !given.some(
        (one) => ['', wanted].includes(textAt(one, ['key'])) && ['', 'NoExecute'].includes(textAt(one, ['effect'])),
      ),
  );
  const more = missing.map((key) => ({
    key,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: GONE_NODE_SECONDS,
  }));
  return [...given, ...more];
}
