import { MIRROR_ANNOTATION } from '../../kubeapi/index.ts';
import { type FieldError, invalidField, invalidShown } from '../api-error.ts';
import { type ApiObject, objectsAt, textAt } from '../api-object.ts';
import { descendingPathErrors } from './volume-paths.ts';

const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';
const APPARMOR_CONTAINER = 'container.apparmor.security.beta.kubernetes.io/';

const LOCAL_PROFILE = 'localhost/';

/** The annotations of a pod that Kubernetes itself reads. @see kubernetes pkg/apis/core/validation, ValidatePodSpecificAnnotations */
export function podAnnotationErrors({ metadata, spec }: ApiObject): FieldError[] {
  const annotations = metadata.annotations ?? {};
  const entries = Object.entries(annotations);
  const isSeccomp = (key: string): boolean => key === SECCOMP_POD || key.startsWith(SECCOMP_CONTAINER);
  return [
    ...mirrorErrors(annotations[MIRROR_ANNOTATION], textAt(spec, ['nodeName'])),
    ...costErrors(annotations[DELETION_COST]),
    ...entries.filter(([key]) => isSeccomp(key)).flatMap(([key, profile]) => seccompErrors(key, profile)),
    ...entries
      .filter(([key]) => key.startsWith(APPARMOR_CONTAINER))
      .flatMap(([key, profile]) => apparmorErrors(key, profile, spec)),
  ];
}

function mirrorErrors(mark: string | undefined, nodeName: string): FieldError[] {
  if (mark === undefined || nodeName !== '') return [];
  const rule = 'must set spec.nodeName if mirror pod annotation is set';
  return [invalidField(`metadata.annotations[${MIRROR_ANNOTATION}]`, mark, rule)];
}

function costErrors(cost: string | undefined): FieldError[] {
  if (cost === undefined) return [];
  const isNumber = /^(?:0|-\d+|[1-9]\d*)$/.test(cost);
  if (isNumber && Number(cost) >= -(2 ** 31) && Number(cost) < 2 ** 31) return [];
  return [invalidField(`metadata.annotations[${DELETION_COST}]`, cost, 'must be a 32bit integer')];
}

function seccompErrors(key: string, profile: string): FieldError[] {
  const field = `metadata.annotations.${key}`;
  if (['runtime/default', 'docker/default', 'unconfined'].includes(profile)) return [];
  if (profile.startsWith(LOCAL_PROFILE)) return descendingPathErrors(field, profile.slice(LOCAL_PROFILE.length));
  return [invalidField(field, profile, 'must be a valid seccomp profile')];
}

function apparmorErrors(key: string, profile: string, spec: unknown): FieldError[] {
  const field = `metadata.annotations[${key}]`;
  const name = key.slice(APPARMOR_CONTAINER.length);
  const containers = ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) => objectsAt(spec, [list]));
  const isProfile = ['', 'runtime/default', 'unconfined'].includes(profile) || profile.startsWith(LOCAL_PROFILE);
  const shown = JSON.stringify(profile);
  return [
    ...(containers.some((one) => one['name'] === name) ? [] : [invalidField(field, name, 'container not found')]),
    ...(isProfile ? [] : [invalidShown(field, shown, `invalid AppArmor profile name: ${shown}`)]),
  ];
}
