import { isJsonObject, type JsonObject } from '../../common/json-object.ts';
import { type FieldError, forbiddenField, invalidField, requiredField, unsupportedField } from '../api-error.ts';
import { objectsAt, textAt, valueAt } from '../api-object.ts';
import { portNameFaults, portNumberErrors } from './port-validation.ts';

const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'];

/** What a container does at its start and end, and how it is asked. */
export function handlerErrors(path: string, container: JsonObject): FieldError[] {
  return [
    ...['postStart', 'preStop'].flatMap((moment) => {
      const handler = valueAt(container, ['lifecycle', moment]);
      return isJsonObject(handler) ? oneHandlerErrors(`${path}.lifecycle.${moment}`, handler) : [];
    }),
    ...['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((field) => {
      const probe = container[field];
      return isJsonObject(probe) ? probeErrors(`${path}.${field}`, field, probe) : [];
    }),
  ];
}

/** @see kubernetes pkg/apis/core/validation, validateProbe, validateLivenessProbe */
function probeErrors(path: string, field: string, probe: JsonObject): FieldError[] {
  const { successThreshold = 1, terminationGracePeriodSeconds: grace } = probe;
  return [
    ...oneHandlerErrors(path, probe),
    ...['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold']
      .filter((number) => Number(probe[number] ?? 0) < 0)
      .map((number) => invalidField(`${path}.${number}`, probe[number], 'must be greater than or equal to 0')),
    ...(grace !== undefined && Number(grace) <= 0
      ? [invalidField(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than 0')]
      : []),
    ...(field !== 'readinessProbe' && successThreshold !== 1
      ? [invalidField(`${path}.successThreshold`, successThreshold, 'must be 1')]
      : []),
    ...(field === 'readinessProbe' && grace !== undefined
      ? [invalidField(`${path}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes')]
      : []),
  ];
}

/** @see kubernetes pkg/apis/core/validation, validateHandler */
function oneHandlerErrors(path: string, probe: JsonObject): FieldError[] {
  const [first, ...more] = handlers.filter((handler) => probe[handler] !== undefined);
  if (first === undefined) return [requiredField(path, 'must specify a handler type')];
  return [
    ...handlerOfKindErrors(`${path}.${first}`, first, probe[first] as JsonObject),
    ...more.map((handler) => forbiddenField(`${path}.${handler}`, 'may not specify more than 1 handler type')),
  ];
}

function handlerOfKindErrors(path: string, kind: string, handler: JsonObject): FieldError[] {
  switch (kind) {
    case 'exec':
      return valueAt(handler, ['command']) === undefined ? [requiredField(`${path}.command`)] : [];
    case 'httpGet':
      return httpErrors(path, handler);
    case 'tcpSocket':
      return portErrors(`${path}.port`, handler['port']);
    case 'grpc':
      return portNumberErrors(`${path}.port`, handler['port'] ?? 0);
    default:
      return [];
  }
}

function httpErrors(path: string, handler: JsonObject): FieldError[] {
  const scheme = textAt(handler, ['scheme']);
  const rule =
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for " +
    "validation is '[-A-Za-z0-9]+')";
  return [
    ...(textAt(handler, ['path']) === '' ? [requiredField(`${path}.path`)] : []),
    ...portErrors(`${path}.port`, handler['port']),
    ...(['HTTP', 'HTTPS'].includes(scheme) ? [] : [unsupportedField(`${path}.scheme`, scheme, ['HTTP', 'HTTPS'])]),
    ...objectsAt(handler, ['httpHeaders'])
      .map((header) => textAt(header, ['name']))
      .filter((name) => !/^[-A-Za-z0-9]+$/.test(name))
      .map((name) => invalidField(`${path}.httpHeaders`, name, rule)),
  ];
}

/** A port by its number, or by the name that the container gives it. */
function portErrors(field: string, port: unknown): FieldError[] {
  if (typeof port !== 'string') return portNumberErrors(field, port ?? 0);
  return portNameFaults(port).map((fault) => invalidField(field, port, fault));
}
