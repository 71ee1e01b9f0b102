import type { JsonObject } from '../../common/json-object.ts';
import { choiceErrors, duplicateField, type FieldError, invalidField, requiredField } from '../api-error.ts';
import { objectsAt, textAt } from '../api-object.ts';
import { faultsOf } from '../object-names.ts';

/** @see kubernetes pkg/apis/core/validation, validateContainerPorts */
export function portErrors(path: string, ports: readonly JsonObject[]): FieldError[] {
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
    else errors.push(...portNumberErrors(`${path}[${at}].containerPort`, containerPort));
    if (hostPort !== 0) errors.push(...portNumberErrors(`${path}[${at}].hostPort`, hostPort));
    errors.push(...choiceErrors(`${path}[${at}].protocol`, textAt(port, ['protocol']), ['SCTP', 'TCP', 'UDP']));
    return errors;
  });
}

export function portNumberErrors(field: string, port: unknown): FieldError[] {
  if (Number(port) >= 1 && Number(port) <= 65_535) return [];
  return [invalidField(field, port, 'must be between 1 and 65535, inclusive')];
}

export function portNameFaults(name: string): string[] {
  return [
    ...(name.length > 15 ? ['must be no more than 15 characters'] : []),
    ...(/^[-a-z0-9]+$/.test(name) ? [] : ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']),
    ...(/[a-z]/.test(name) ? [] : ['must contain at least one letter (a-z)']),
    ...(name.includes('--') ? ['must not contain consecutive hyphens'] : []),
    ...(name.startsWith('-') || name.endsWith('-') ? ['must not begin or end with a hyphen'] : []),
  ];
}

/** One port of the host is given once in a pod. @see kubernetes pkg/apis/core/validation, checkHostPortConflicts */
export function takenPortErrors(containers: readonly JsonObject[]): FieldError[] {
  const taken = new Set<string>();
  return containers.flatMap((container, at) =>
    objectsAt(container, ['ports']).flatMap(({ hostPort = 0, hostIP = '', protocol }, index) => {
      if (hostPort === 0) return [];
      const place = [protocol, hostIP, hostPort].join('/');
      const isTaken = taken.has(place);
      taken.add(place);
      return isTaken ? [duplicateField(`spec.containers[${at}].ports[${index}].hostPort`, place)] : [];
    }),
  );
}

/** On the host's network a port of the pod is one of the host. */
export function hostPortErrors(spec: JsonObject | undefined, containers: readonly JsonObject[]): FieldError[] {
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
