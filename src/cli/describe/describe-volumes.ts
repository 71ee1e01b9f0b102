import type { DownwardApiFile, ProjectedSource, Volume } from '../../kubeapi/index.ts';
import { amountOf, amountText } from './amount.ts';
import type { Description } from './description.ts';

/** Kinds of volumes that podwire does not read. */
interface OtherVolume {
  readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean };
}

/** A pod's volumes, each with where it comes from. */
export function describeVolumes(text: Description, volumes: readonly Volume[]): void {
  if (volumes.length === 0) text.line(0, 'Volumes:', '<none>');
  else text.line(0, 'Volumes:');
  for (const volume of volumes) {
    text.line(1, `${volume.name}:`);
    describeVolume(text, volume);
  }
}

function describeVolume(text: Description, volume: Volume & OtherVolume): void {
  const { hostPath, emptyDir, secret, configMap, persistentVolumeClaim, downwardAPI, projected } = volume;
  const rows = (type: string, ...more: readonly (readonly [title: string, value: string])[]): void => {
    text.line(2, 'Type:', type);
    for (const [title, value] of more) text.line(2, title, value);
  };
  if (hostPath !== undefined) {
    rows(
      'HostPath (bare host directory volume)',
      ['Path:', hostPath.path],
      ['HostPathType:', hostPath.type ?? '<none>'],
    );
  } else if (emptyDir !== undefined) {
    const limit = amountOf(emptyDir.sizeLimit);
    rows(
      "EmptyDir (a temporary directory that shares a pod's lifetime)",
      ['Medium:', emptyDir.medium ?? ''],
      ['SizeLimit:', limit.nano > 0n ? amountText(limit) : '<unset>'],
    );
  } else if (secret !== undefined) {
    rows(
      'Secret (a volume populated by a Secret)',
      ['SecretName:', secret.secretName ?? ''],
      ['Optional:', String(secret.optional ?? false)],
    );
  } else if (configMap !== undefined) {
    rows(
      'ConfigMap (a volume populated by a ConfigMap)',
      ['Name:', configMap.name ?? ''],
      ['Optional:', String(configMap.optional ?? false)],
    );
  } else if (persistentVolumeClaim !== undefined) {
    rows(
      'PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)',
      ['ClaimName:', persistentVolumeClaim.claimName],
      ['ReadOnly:', String(persistentVolumeClaim.readOnly ?? false)],
    );
  } else if (downwardAPI !== undefined) {
    rows('DownwardAPI (a volume populated by information about the pod)');
    text.line(2, 'Items:');
    for (const file of downwardAPI.items ?? []) describeFile(text, file);
  } else if (projected !== undefined) {
    rows('Projected (a volume that contains injected data from multiple sources)');
    for (const source of projected.sources ?? []) describeSource(text, source);
  } else text.line(1, '<unknown>');
}

function describeFile(text: Description, { path, fieldRef, resourceFieldRef }: DownwardApiFile): void {
  if (fieldRef !== undefined) text.line(3, `${fieldRef.fieldPath} -> ${path}`);
  if (resourceFieldRef !== undefined) text.line(3, `${resourceFieldRef.resource} -> ${path}`);
}

function describeSource(text: Description, source: ProjectedSource): void {
  const { secret, downwardAPI, configMap, serviceAccountToken } = source;
  const optional = (value: boolean | undefined): string => (value === undefined ? '<nil>' : String(value));
  if (secret !== undefined) {
    text.line(2, 'SecretName:', secret.name ?? '');
    text.line(2, 'SecretOptionalName:', optional(secret.optional));
  } else if (downwardAPI !== undefined) text.line(2, 'DownwardAPI:', 'true');
  else if (configMap !== undefined) {
    text.line(2, 'ConfigMapName:', configMap.name ?? '');
    text.line(2, 'ConfigMapOptional:', optional(configMap.optional));
  } else if (serviceAccountToken !== undefined) {
    text.line(2, 'TokenExpirationSeconds:', serviceAccountToken.expirationSeconds ?? 3600);
  }
}
