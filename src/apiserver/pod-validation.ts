import { MIRROR_ANNOTATION, parseQuantity } from '../kubeapi/index.ts';
import {
  duplicateField,
  type FieldError,
  forbiddenField,
  invalidField,
  missingField,
  requiredField,
  unsupportedField,
} from './api-error.ts';
import { type ApiObject, isSameJson, type JsonObject, objectsAt, textAt, valueAt } from './api-object.ts';
import {
  dnsLabelFaults,
  dnsSubdomainFaults,
  faultsOf,
  labelErrors,
  labelValueFaults,
  qualifiedNameFaults,
} from './object-names.ts';

/*
 * The rules of pods, with upstream's texts: of what podwire runs or shows. What it hands on untouched, such as volumes
 * of other systems, is checked by type alone.
 */

const MAX_INT32 = 2_147_483_647;

const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** @see kubernetes pkg/apis/core/validation, ValidatePodSpec */
export function podErrors(pod: ApiObject): FieldError[] {
  const { spec } = pod as { readonly spec?: JsonObject };
  const volumes = objectsAt(spec, ['volumes']);
  return [
    ...volumeErrors(volumes),
    ...containerListErrors(spec, volumes),
    ...choiceErrors('spec.restartPolicy', textAt(spec, ['restartPolicy']), ['Always', 'OnFailure', 'Never']),
    ...choiceErrors('spec.dnsPolicy', textAt(spec, ['dnsPolicy']), [
      'ClusterFirstWithHostNet',
      'ClusterFirst',
      'Default',
      'None',
    ]),
    ...labelErrors('spec.nodeSelector', (spec?.['nodeSelector'] ?? {}) as Record<string, string>),
    ...nameErrors(spec),
    ...deadlineErrors(spec),
    ...tolerationErrors(objectsAt(spec, ['tolerations'])),
  ];
}

/** What a pod keeps for its life. @see kubernetes pkg/apis/core/validation, ValidatePodUpdate */
export function podUpdateErrors(next: ApiObject, current: ApiObject): FieldError[] {
  for (const field of ['containers', 'initContainers']) {
    const before = objectsAt(current, ['spec', field]);
    if (objectsAt(next, ['spec', field]).length === before.length) continue;
    return [forbiddenField(`spec.${field}`, 'pod updates may not add or remove containers')];
  }
  const errors: FieldError[] = [];
  const [deadline, earlier] = [next, current].map((pod) => valueAt(pod, ['spec', 'activeDeadlineSeconds']));
  if (typeof deadline === 'number' && typeof earlier === 'number' && deadline > earlier) {
    const rule = 'must be less than or equal to previous value';
    errors.push(invalidField('spec.activeDeadlineSeconds', deadline, rule));
  } else if (deadline === undefined && earlier !== undefined) {
    errors.push(
      invalidField('spec.activeDeadlineSeconds', null, 'must not update from a positive integer to nil value'),
    );
  }
  const [tolerations, before] = [next, current].map((pod) =>
    objectsAt(pod, ['spec', 'tolerations']).map(withoutSeconds),
  );
  if (before?.every((old) => tolerations?.some((one) => isSameJson(one, old))) !== true) {
    const rule = 'existing toleration can not be modified except its tolerationSeconds';
    errors.push(forbiddenField('spec.tolerations', rule));
  }
  const gates = objectsAt(current, ['spec', 'schedulingGates']);
  if (objectsAt(next, ['spec', 'schedulingGates']).some((gate) => !gates.some((one) => isSameJson(one, gate)))) {
    errors.push(forbiddenField('spec.schedulingGates', 'only deletion is allowed'));
  }
  const [spec, old] = [fixedSpec(next, current), fixedSpec(current, current)];
  const changed = [...new Set([...Object.keys(spec), ...Object.keys(old)])].filter(
    (key) => !isSameJson(spec[key], old[key]),
  );
  if (changed.length > 0) {
    // Behind this upstream prints the difference as Go source; the fields are what it tells.
    const fields = changed.map((key) => `spec.${key}`).join(', ');
    errors.push(forbiddenField('spec', `${UPDATE_RULE}\n changed: ${fields}`));
  }
  return errors;
}

/** A mirror stays one, and no other pod becomes one. @see ValidatePodSpecificAnnotationUpdates */
export function mirrorUpdateErrors(next: ApiObject, current: ApiObject): FieldError[] {
  const [now, before] = [next, current].map(({ metadata }) => metadata.annotations?.[MIRROR_ANNOTATION]);
  if (now === before) return [];
  const verb = before === undefined ? 'add' : 'remove or update';
  return [forbiddenField(`metadata.annotations[${MIRROR_ANNOTATION}]`, `may not ${verb} mirror pod annotation`)];
}

const UPDATE_RULE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
  '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** The spec of `pod` with all that may change set to what it is in `current`. */
function fixedSpec(pod: ApiObject, current: ApiObject): JsonObject {
  const spec = (pod['spec'] ?? {}) as JsonObject;
  const old = (current['spec'] ?? {}) as JsonObject;
  const { terminationGracePeriodSeconds: grace } = spec;
  const oldGrace = old['terminationGracePeriodSeconds'];
  const isGraceFreed = typeof oldGrace === 'number' && oldGrace < 0 && grace === 1;
  const isGated = objectsAt(old, ['schedulingGates']).length > 0;
  return {
    ...spec,
    activeDeadlineSeconds: null,
    tolerations: null,
    schedulingGates: null,
    ...(isGraceFreed ? { terminationGracePeriodSeconds: oldGrace } : {}),
    ...(isGated ? { nodeSelector: null } : {}),
    containers: withoutImages(spec['containers']),
    initContainers: withoutImages(spec['initContainers'] ?? []),
  };
}

function withoutImages(containers: unknown): unknown {
  return Array.isArray(containers) ? containers.map((one: JsonObject) => ({ ...one, image: null })) : containers;
}

function withoutSeconds(toleration: JsonObject): JsonObject {
  return { ...toleration, tolerationSeconds: undefined };
}

function containerListErrors(spec: JsonObject | undefined, volumes: readonly JsonObject[]): FieldError[] {
  const containers = objectsAt(spec, ['containers']);
  const inits = objectsAt(spec, ['initContainers']);
  const ephemeral = objectsAt(spec, ['ephemeralContainers']);
  const errors: FieldError[] = [];
  const check = (field: string, list: readonly JsonObject[], taken: Set<string>): Set<string> => {
    const names = new Set(taken);
    for (const [at, container] of list.entries()) {
      const path = `spec.${field}[${at}]`;
      errors.push(...containerErrors(path, container, volumes));
      const name = textAt(container, ['name']);
      if (name === '') continue;
      if (names.has(name)) errors.push(duplicateField(`${path}.name`, name));
      names.add(name);
    }
    return names;
  };
  if (containers.length === 0) errors.push(requiredField('spec.containers'));
  const names = check('containers', containers, new Set());
  errors.push(...hostPortErrors(spec, containers), ...regularErrors(containers));
  const all = check('initContainers', inits, names);
  errors.push(...initErrors(inits));
  check('ephemeralContainers', ephemeral, all);
  for (const [at, one] of ephemeral.entries()) {
    const target = textAt(one, ['targetContainerName']);
    if (target === '' || all.has(target)) continue;
    errors.push(missingField(`spec.ephemeralContainers[${at}].targetContainerName`, target));
  }
  return errors;
}

function containerErrors(path: string, container: JsonObject, volumes: readonly JsonObject[]): FieldError[] {
  const name = textAt(container, ['name']);
  const image = textAt(container, ['image']);
  return [
    ...(name === '' ? [requiredField(`${path}.name`)] : faultsOf(`${path}.name`, name, dnsLabelFaults(name))),
    ...(image === '' ? [requiredField(`${path}.image`)] : []),
    ...choiceErrors(`${path}.terminationMessagePolicy`, textAt(container, ['terminationMessagePolicy']), [
      'File',
      'FallbackToLogsOnError',
    ]),
    ...portErrors(`${path}.ports`, objectsAt(container, ['ports'])),
    ...envErrors(`${path}.env`, objectsAt(container, ['env'])),
    ...mountErrors(`${path}.volumeMounts`, objectsAt(container, ['volumeMounts']), volumes),
    ...choiceErrors(`${path}.imagePullPolicy`, textAt(container, ['imagePullPolicy']), [
      'Always',
      'IfNotPresent',
      'Never',
    ]),
    ...resourceErrors(`${path}.resources`, container),
    ...(image === image.trim()
      ? []
      : [invalidField(`${path}.image`, image, 'must not have leading or trailing whitespace')]),
  ];
}

function regularErrors(containers: readonly JsonObject[]): FieldError[] {
  return containers.flatMap((container, at) => {
    const path = `spec.containers[${at}]`;
    return [
      ...probeErrors(path, container),
      ...(container['restartPolicy'] === undefined
        ? []
        : [forbiddenField(`${path}.restartPolicy`, 'may not be set for non-init containers')]),
    ];
  });
}

function initErrors(containers: readonly JsonObject[]): FieldError[] {
  return containers.flatMap((container, at) => {
    const path = `spec.initContainers[${at}]`;
    const policy = container['restartPolicy'];
    if (policy === 'Always') return probeErrors(path, container);
    const rule = 'may not be set for init containers without restartPolicy=Always';
    return [
      ...(policy === undefined ? [] : [unsupportedField(`${path}.restartPolicy`, policy, ['Always'])]),
      ...['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe']
        .filter((field) => container[field] !== undefined)
        .map((field) => forbiddenField(`${path}.${field}`, rule)),
    ];
  });
}

const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'];

function probeErrors(path: string, container: JsonObject): FieldError[] {
  return ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((field) => {
    const probe = container[field] as JsonObject | undefined;
    if (probe === undefined) return [];
    const at = `${path}.${field}`;
    const [first, ...more] = handlers.filter((handler) => probe[handler] !== undefined);
    return [
      ...more.map((handler) => forbiddenField(`${at}.${handler}`, 'may not specify more than 1 handler type')),
      ...(first === undefined ? [requiredField(at, 'must specify a handler type')] : []),
      ...['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold']
        .filter((number) => Number(probe[number] ?? 0) < 0)
        .map((number) => invalidField(`${at}.${number}`, probe[number], 'must be greater than or equal to 0')),
    ];
  });
}

function hostPortErrors(spec: JsonObject | undefined, containers: readonly JsonObject[]): FieldError[] {
  if (spec?.['hostNetwork'] !== true) return [];
  return containers.flatMap((container, at) =>
    objectsAt(container, ['ports']).flatMap(({ hostPort = 0, containerPort = 0 }, index) =>
      hostPort === containerPort
        ? []
        : [
            invalidField(
              `spec.containers[${at}].ports[${index}].hostPort`,
              hostPort,
              'must match `containerPort` when `hostNetwork` is true',
            ),
          ],
    ),
  );
}

function portErrors(path: string, ports: readonly JsonObject[]): FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, at) => {
    const errors: FieldError[] = [];
    const name = textAt(port, ['name']);
    if (name !== '') {
      const faults = portNameFaults(name);
      errors.push(...faultsOf(`${path}[${at}].name`, name, faults));
      if (faults.length === 0 && names.has(name)) errors.push(duplicateField(`${path}[${at}].name`, name));
      names.add(name);
    }
    const { containerPort = 0, hostPort = 0 } = port;
    if (containerPort === 0) errors.push(requiredField(`${path}[${at}].containerPort`));
    for (const [field, value] of [
      ['containerPort', containerPort],
      ['hostPort', hostPort],
    ] as const) {
      const isRight = value === 0 || (Number(value) >= 1 && Number(value) <= 65_535);
      if (!isRight)
        errors.push(invalidField(`${path}[${at}].${field}`, value, 'must be between 1 and 65535, inclusive'));
    }
    errors.push(...choiceErrors(`${path}[${at}].protocol`, textAt(port, ['protocol']), ['SCTP', 'TCP', 'UDP']));
    return errors;
  });
}

function portNameFaults(name: string): string[] {
  return [
    ...(name.length > 15 ? ['must be no more than 15 characters'] : []),
    ...(/^[-a-z0-9]+$/.test(name) ? [] : ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']),
    ...(/[a-z]/.test(name) ? [] : ['must contain at least one letter (a-z)']),
    ...(name.includes('--') ? ['must not contain consecutive hyphens'] : []),
    ...(name.startsWith('-') || name.endsWith('-') ? ['must not begin or end with a hyphen'] : []),
  ];
}

const downwardFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

function envErrors(path: string, variables: readonly JsonObject[]): FieldError[] {
  return variables.flatMap((variable, at) => {
    const errors: FieldError[] = [];
    const name = textAt(variable, ['name']);
    if (name === '') errors.push(requiredField(`${path}[${at}].name`));
    else if (!/^[ -<>-~]+$/.test(name)) {
      const rule = "a valid environment variable name must consist only of printable ASCII characters other than '='";
      errors.push(invalidField(`${path}[${at}].name`, name, rule));
    }
    const from = variable['valueFrom'] as JsonObject | undefined;
    if (from === undefined) return errors;
    const field = `${path}[${at}].valueFrom`;
    errors.push(...fieldRefErrors(`${field}.fieldRef`, from['fieldRef'] as JsonObject | undefined));
    const sources = Object.keys(from).length;
    if (sources === 0) {
      const rule = 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`';
      errors.push(invalidField(field, '', rule));
    } else if (textAt(variable, ['value']) !== '') {
      errors.push(invalidField(field, '', 'may not be specified when `value` is not empty'));
    } else if (sources > 1) {
      errors.push(invalidField(field, '', 'may not have more than one field specified at a time'));
    }
    return errors;
  });
}

function fieldRefErrors(path: string, ref: JsonObject | undefined): FieldError[] {
  if (ref === undefined) return [];
  const fieldPath = textAt(ref, ['fieldPath']);
  if (fieldPath === '') return [requiredField(`${path}.fieldPath`)];
  const [, map = '', key = ''] = /^(.*)\['(.*)'\]$/.exec(fieldPath) ?? [];
  if (map === 'metadata.annotations') return faultsOf(path, key, qualifiedNameFaults(key.toLowerCase()));
  if (map === 'metadata.labels') return faultsOf(path, key, qualifiedNameFaults(key));
  if (map !== '') return [invalidField(path, map, 'does not support subscript')];
  if (downwardFields.includes(fieldPath)) return [];
  if (fieldPath === 'metadata.annotations' || fieldPath === 'metadata.labels') {
    return [unsupportedField(`${path}.fieldPath`, fieldPath, downwardFields)];
  }
  const why = `error converting fieldPath: field label not supported: ${fieldPath}`;
  return [invalidField(`${path}.fieldPath`, fieldPath, why)];
}

function mountErrors(path: string, mounts: readonly JsonObject[], volumes: readonly JsonObject[]): FieldError[] {
  const places = new Set<string>();
  return mounts.flatMap((mount, at) => {
    const errors: FieldError[] = [];
    const [name, mountPath, subPath] = ['name', 'mountPath', 'subPath'].map((field) => textAt(mount, [field]));
    if (name === '') errors.push(requiredField(`${path}[${at}].name`));
    if (!volumes.some((volume) => volume['name'] === name)) errors.push(missingField(`${path}[${at}].name`, name));
    if (mountPath === '') errors.push(requiredField(`${path}[${at}].mountPath`));
    if (places.has(mountPath ?? '')) errors.push(invalidField(`${path}[${at}].mountPath`, mountPath, 'must be unique'));
    places.add(mountPath ?? '');
    // Upstream leaves the index out there.
    if (subPath?.startsWith('/') === true)
      errors.push(invalidField(`${path}.subPath`, subPath, 'must be a relative path'));
    if (subPath?.split('/').includes('..') === true) {
      errors.push(invalidField(`${path}.subPath`, subPath, "must not contain '..'"));
    }
    return errors;
  });
}

function volumeErrors(volumes: readonly JsonObject[]): FieldError[] {
  const names = new Set<string>();
  return volumes.flatMap((volume, at) => {
    const path = `spec.volumes[${at}]`;
    const [first, ...more] = Object.keys(volume).filter((field) => field !== 'name');
    const name = textAt(volume, ['name']);
    const errors = [
      ...more.map((field) => forbiddenField(`${path}.${field}`, 'may not specify more than 1 volume type')),
      ...(volume['hostPath'] === undefined ? [] : hostPathErrors(`${path}.hostPath`, volume['hostPath'] as JsonObject)),
      ...(first === undefined ? [requiredField(path, 'must specify a volume type')] : []),
      ...(name === '' ? [requiredField(`${path}.name`)] : faultsOf(`${path}.name`, name, dnsLabelFaults(name))),
      ...(names.has(name) ? [duplicateField(`${path}.name`, name)] : []),
    ];
    names.add(name);
    return errors;
  });
}

const hostPathTypes = [
  '',
  'DirectoryOrCreate',
  'Directory',
  'FileOrCreate',
  'File',
  'Socket',
  'CharDevice',
  'BlockDevice',
];

function hostPathErrors(path: string, source: JsonObject): FieldError[] {
  const place = textAt(source, ['path']);
  if (place === '') return [requiredField(`${path}.path`)];
  const type = textAt(source, ['type']);
  return [
    ...(place.split('/').includes('..') ? [invalidField(`${path}.path`, place, "must not contain '..'")] : []),
    ...(hostPathTypes.includes(type) ? [] : [unsupportedField(`${path}.type`, type, hostPathTypes)]),
  ];
}

function resourceErrors(path: string, container: JsonObject): FieldError[] {
  const read = (which: string): Record<string, string> =>
    (valueAt(container, ['resources', which]) ?? {}) as Record<string, string>;
  const limits = read('limits');
  const requests = read('requests');
  const negative = (which: string, amounts: Record<string, string>): FieldError[] =>
    Object.entries(amounts)
      .filter(([, amount]) => parseQuantity(amount) < 0)
      .map(([name, amount]) => invalidField(`${path}.${which}[${name}]`, amount, 'must be greater than or equal to 0'));
  const excess = Object.entries(requests)
    .filter(([name, amount]) => limits[name] !== undefined && parseQuantity(amount) > parseQuantity(limits[name]))
    .map(([name, amount]) =>
      invalidField(`${path}.requests`, amount, `must be less than or equal to ${name} limit of ${limits[name]}`),
    );
  return [...negative('limits', limits), ...negative('requests', requests), ...excess];
}

function nameErrors(spec: JsonObject | undefined): FieldError[] {
  const rules = [
    ['serviceAccountName', dnsSubdomainFaults],
    ['nodeName', dnsSubdomainFaults],
    ['hostname', dnsLabelFaults],
    ['subdomain', dnsLabelFaults],
  ] as const;
  return rules.flatMap(([field, faults]) => {
    const value = textAt(spec, [field]);
    return value === '' ? [] : faultsOf(`spec.${field}`, value, faults(value));
  });
}

function deadlineErrors(spec: JsonObject | undefined): FieldError[] {
  const deadline = spec?.['activeDeadlineSeconds'];
  if (deadline === undefined || (Number(deadline) >= 1 && Number(deadline) <= MAX_INT32)) return [];
  return [invalidField('spec.activeDeadlineSeconds', deadline, `must be between 1 and ${MAX_INT32}, inclusive`)];
}

function tolerationErrors(tolerations: readonly JsonObject[]): FieldError[] {
  return tolerations.flatMap((toleration, at) => {
    const path = `spec.tolerations[${at}]`;
    const [key = '', operator = '', value = '', effect = ''] = ['key', 'operator', 'value', 'effect'].map((field) =>
      textAt(toleration, [field]),
    );
    const errors = key === '' ? [] : faultsOf(`${path}.key`, key, qualifiedNameFaults(key));
    if (key === '' && operator !== 'Exists') {
      const rule = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      errors.push(invalidField(`${path}.operator`, operator, rule));
    }
    if (toleration['tolerationSeconds'] !== undefined && effect !== 'NoExecute') {
      errors.push(invalidField(`${path}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    if (operator === '' || operator === 'Equal')
      errors.push(...faultsOf(`${path}.operator`, value, labelValueFaults(value)));
    else if (operator !== 'Exists') errors.push(unsupportedField(`${path}.operator`, operator, ['Equal', 'Exists']));
    else if (value !== '') {
      errors.push(invalidField(`${path}.operator`, value, "value must be empty when `operator` is 'Exists'"));
    }
    if (effect !== '' && !taintEffects.includes(effect)) {
      errors.push(unsupportedField(`${path}.effect`, effect, taintEffects));
    }
    return errors;
  });
}

/** @see kubernetes pkg/apis/core/validation, validateNodeTaints */
export function taintErrors(taints: readonly JsonObject[]): FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, at) => {
    const path = `metadata.taints[${at}]`;
    const [key = '', value = '', effect = ''] = ['key', 'value', 'effect'].map((field) => textAt(taint, [field]));
    const pair = `${key}:${effect}`;
    const isTwice = seen.has(pair);
    seen.add(pair);
    return [
      ...faultsOf(`${path}.key`, key, qualifiedNameFaults(key)),
      ...faultsOf(`${path}.value`, value, labelValueFaults(value)),
      ...choiceErrors(`${path}.effect`, effect, taintEffects),
      ...(isTwice ? [duplicateField(path, taint)] : []),
    ];
  });
}

/** A value that must be there and be one of a few. */
function choiceErrors(field: string, value: string, choices: readonly string[]): FieldError[] {
  if (value === '') return [requiredField(field)];
  return choices.includes(value) ? [] : [unsupportedField(field, value, choices)];
}
