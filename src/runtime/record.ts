import { z } from 'zod';
import {
  type ContainerConfig,
  ContainerConfigSchema,
  fromJson,
  type LinuxContainerResources,
  LinuxContainerResourcesSchema,
  type PodSandboxConfig,
  PodSandboxConfigSchema,
  toJson,
} from '../cri/index.ts';

/** Grows when a reader of today would misunderstand what is written. */
const format = z.literal(1);
const id = z.string().regex(/^[0-9a-f]{64}$/);

/** As text, for JSON has no such numbers. */
const nanoseconds = z.codec(z.string().regex(/^\d+$/), z.bigint(), {
  decode: (text) => BigInt(text),
  encode: (value) => value.toString(),
});

// Fields of a later version are left out, for nothing here knows what they mean.
const sandboxConfig = z.codec(z.json(), z.custom<PodSandboxConfig>(), {
  decode: (json) => fromJson(PodSandboxConfigSchema, json, { ignoreUnknownFields: true }),
  encode: (config) => toJson(PodSandboxConfigSchema, config),
});
const containerConfig = z.codec(z.json(), z.custom<ContainerConfig>(), {
  decode: (json) => fromJson(ContainerConfigSchema, json, { ignoreUnknownFields: true }),
  encode: (config) => toJson(ContainerConfigSchema, config),
});

const resources = z.codec(z.json(), z.custom<LinuxContainerResources>(), {
  decode: (json) => fromJson(LinuxContainerResourcesSchema, json, { ignoreUnknownFields: true }),
  encode: (given) => toJson(LinuxContainerResourcesSchema, given),
});

/** What is kept of a pod. */
export const sandboxRecord = z.object({
  format,
  id,
  name: z.string(),
  createdAt: nanoseconds,
  config: sandboxConfig,
  runtimeHandler: z.string(),
  isReady: z.boolean(),
});

/** `starting` is on disk before anything of the start is done, `running` before the command itself runs. */
const phase = z.discriminatedUnion('name', [
  z.object({ name: z.literal('created') }),
  z.object({ name: z.literal('starting'), startedAt: nanoseconds }),
  z.object({ name: z.literal('running'), startedAt: nanoseconds }),
  z.object({
    name: z.literal('exited'),
    startedAt: nanoseconds,
    finishedAt: nanoseconds,
    exitCode: z.number(),
    reason: z.enum(['Completed', 'Error', 'OOMKilled', 'StartError', 'Unknown']),
    message: z.string(),
  }),
]);

/** What is kept of a container. */
export const containerRecord = z.object({
  format,
  id,
  name: z.string(),
  createdAt: nanoseconds,
  podSandboxId: id,
  config: containerConfig,
  argv: z.array(z.string()),
  env: z.record(z.string(), z.string()),
  cwd: z.string(),
  user: z
    .object({
      uid: z.number(),
      gid: z.number(),
      groups: z.array(z.number()).optional(),
      /** With walls only. */
      home: z.string().optional(),
    })
    .optional(),
  logPath: z.string().optional(),
  image: z.object({ id: z.string(), reference: z.string() }),
  /** As it was made with, or as it was updated. */
  resources: resources.optional(),
  hasWalls: z.boolean(),
  stopSignal: z.union([z.string().regex(/^SIG[A-Z0-9]+$/), z.number()]),
  phase,
});

export type SandboxRecord = z.infer<typeof sandboxRecord>;
export type ContainerRecord = z.infer<typeof containerRecord>;
/** Where a container is in its life, as its record has it. */
export type RecordedPhase = ContainerRecord['phase'];
