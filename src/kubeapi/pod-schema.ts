import type { z as Zod } from 'zod';
import { parseQuantity } from './quantity.ts';

const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const dnsSubdomain = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const LABEL_RULE = 'must be 1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit';
const NAME_RULE = 'must be at most 253 lower-case letters, digits, - and .';

type Z = typeof Zod;

/** Field by field what a Pod from a person must hold; fields that are not named here pass untouched. */
export function podSchema(z: Z): Zod.ZodType {
  const containers = z.array(containerSchema(z));
  const id = z.int().min(0).max(2_147_483_647).optional();
  const spec = z
    .looseObject({
      containers: containers.min(1, 'needs at least one container'),
      initContainers: containers.optional(),
      ephemeralContainers: containers.optional(),
      volumes: z.array(z.looseObject({ name: z.string().regex(dnsLabel, LABEL_RULE) })).optional(),
      restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).optional(),
      nodeName: z.string().optional(),
      hostname: z.string().optional(),
      hostNetwork: z.boolean().optional(),
      hostPID: z.boolean().optional(),
      hostIPC: z.boolean().optional(),
      shareProcessNamespace: z.boolean().optional(),
      terminationGracePeriodSeconds: z.int().min(0).optional(),
      activeDeadlineSeconds: z.int().min(1).optional(),
      serviceAccountName: z.string().optional(),
      securityContext: z.looseObject({ runAsUser: id, runAsGroup: id, fsGroup: id }).optional(),
    })
    .superRefine((value, context) => {
      for (const [path, message] of crossChecks(value as unknown as CheckedSpec)) {
        context.addIssue({ code: 'custom', path, message });
      }
    });
  return z.looseObject({ apiVersion: z.literal('v1'), kind: z.literal('Pod'), metadata: metadataSchema(z), spec });
}

function metadataSchema(z: Z): Zod.ZodType {
  const texts = z.record(z.string(), z.string()).optional();
  return (
    z
      .looseObject({
        name: z.string().regex(dnsSubdomain, NAME_RULE).optional(),
        generateName: z.string().optional(),
        namespace: z.string().regex(dnsLabel, LABEL_RULE).optional(),
        labels: texts,
        annotations: texts,
      })
      .refine(({ name, generateName }) => name !== undefined || generateName !== undefined, {
        path: ['name'],
        message: 'is missing',
      })
      // ObjectMeta promises a name; the server makes one up from generateName.
      .transform((metadata) => ({ ...metadata, name: metadata.name ?? '' }))
  );
}

function containerSchema(z: Z): Zod.ZodType {
  const quantity = z.union([z.string(), z.number()]).refine(isQuantity, 'must be a quantity such as 500m or 2Gi');
  const quantities = z.record(z.string(), quantity).optional();
  const argv = z.array(z.string()).optional();
  const port = z.int().min(1).max(65_535);
  return z.looseObject({
    name: z.string().regex(dnsLabel, LABEL_RULE),
    image: z.string().min(1, 'must not be empty'),
    imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
    command: argv,
    args: argv,
    workingDir: z.string().optional(),
    ports: z
      .array(z.looseObject({ name: z.string().optional(), containerPort: port, hostPort: port.optional() }))
      .optional(),
    env: z.array(z.looseObject({ name: z.string().min(1), value: z.string().optional() })).optional(),
    volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string().min(1) })).optional(),
    resources: z.looseObject({ limits: quantities, requests: quantities }).optional(),
    securityContext: z
      .looseObject({ privileged: z.boolean().optional(), runAsUser: z.int().min(0).optional() })
      .optional(),
    stdin: z.boolean().optional(),
    stdinOnce: z.boolean().optional(),
    tty: z.boolean().optional(),
  });
}

function isQuantity(value: string | number): boolean {
  try {
    return parseQuantity(value) >= 0;
  } catch {
    return false;
  }
}

const containerLists = ['initContainers', 'containers', 'ephemeralContainers'] as const;

type CheckedSpec = Partial<
  Record<(typeof containerLists)[number], readonly { name: string; volumeMounts?: readonly { name: string }[] }[]>
> & { readonly volumes?: readonly { name: string }[] };

/** What no field can say alone: names are unique, mounts name a volume. */
function* crossChecks(spec: CheckedSpec): Generator<[path: (string | number)[], message: string]> {
  const volumes = new Set<string>();
  for (const [index, { name }] of (spec.volumes ?? []).entries()) {
    if (volumes.has(name)) yield [['volumes', index, 'name'], `${JSON.stringify(name)} is taken by another volume`];
    volumes.add(name);
  }
  const names = new Set<string>();
  for (const list of containerLists) {
    for (const [index, { name, volumeMounts = [] }] of (spec[list] ?? []).entries()) {
      if (names.has(name)) yield [[list, index, 'name'], `${JSON.stringify(name)} is taken by another container`];
      names.add(name);
      for (const [at, mount] of volumeMounts.entries()) {
        if (volumes.has(mount.name)) continue;
        yield [[list, index, 'volumeMounts', at, 'name'], `${JSON.stringify(mount.name)} is no volume of this pod`];
      }
    }
  }
}
