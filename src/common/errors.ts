/**
 * Every failure that podwire raises on purpose has one row here. Callers match on `code`, people read `message`.
 * `reason` and `http` are what the failure becomes in a Kubernetes Status; `help` says what the rule is.
 */
export const errorTable = {
  // The request was wrong before any stream existed.
  ERR_BAD_REQUEST: { reason: 'BadRequest', http: 400, help: 'the request breaks a rule of the endpoint' },
  ERR_UNAUTHORIZED: { reason: 'Unauthorized', http: 401, help: 'the caller did not say who it is' },
  ERR_FORBIDDEN: { reason: 'Forbidden', http: 403, help: 'the caller may not do this' },
  ERR_NOT_FOUND: { reason: 'NotFound', http: 404, help: 'the object does not exist' },
  ERR_INTERNAL: { reason: 'InternalError', http: 500, help: 'a defect of podwire: please report it' },

  // The objects of the API and their store.
  ERR_ALREADY_EXISTS: { reason: 'AlreadyExists', http: 409, help: 'an object of this name exists' },
  ERR_CONFLICT: { reason: 'Conflict', http: 409, help: 'the object has changed since it was read' },
  ERR_INVALID: { reason: 'Invalid', http: 422, help: 'a field of the object breaks its rule' },
  ERR_METHOD_NOT_ALLOWED: { reason: 'MethodNotAllowed', http: 405, help: 'the resource has no such verb' },
  ERR_NOT_ACCEPTABLE: { reason: 'NotAcceptable', http: 406, help: 'the answer has no form that the caller accepts' },
  ERR_BODY_TOO_LARGE: { reason: 'RequestEntityTooLarge', http: 413, help: 'the body exceeds the limit' },
  ERR_MEDIA_TYPE: { reason: 'UnsupportedMediaType', http: 415, help: 'the body has a form that is not read here' },
  ERR_TOO_MANY_REQUESTS: { reason: 'TooManyRequests', http: 429, help: 'as many requests as allowed are under way' },
  ERR_NOT_IMPLEMENTED: { reason: 'NotImplemented', http: 501, help: 'podwire cannot do this yet' },
  ERR_UNAVAILABLE: { reason: 'ServiceUnavailable', http: 503, help: 'the server is stopping' },
  ERR_REQUEST_TIMEOUT: { reason: 'Timeout', http: 504, help: 'the request was not done within its limit' },
  ERR_UPSTREAM: {
    reason: 'ServiceUnavailable',
    http: 503,
    help: 'the cluster behind this apiserver cannot be reached',
  },
  ERR_REVISION_COMPACTED: { reason: 'Expired', http: 410, help: 'the revision is older than the history that is kept' },
  ERR_REVISION_FUTURE: { reason: 'Timeout', http: 504, help: 'the revision has not been reached' },
  ERR_STORE_FULL: { reason: 'InternalError', http: 500, help: 'the store holds as much as it may' },
  ERR_STORE_FILE: { reason: 'InternalError', http: 500, help: 'the file of the store cannot be used as it stands' },
  ERR_STORE_UNAVAILABLE: { reason: 'ServiceUnavailable', http: 503, help: 'the store cannot be reached' },
  ERR_STORE_CLOSED: { reason: 'ServiceUnavailable', http: 503, help: 'the store is closed' },

  // Upgrade and negotiation.
  ERR_UPGRADE_REFUSED: { reason: 'InternalError', http: 500, help: 'the peer answered an upgrade with something else' },
  ERR_UPGRADE_REQUIRED: { reason: 'BadRequest', http: 400, help: 'this endpoint only takes upgraded connections' },
  ERR_NO_COMMON_PROTOCOL: { reason: 'Forbidden', http: 403, help: 'client and server share no stream protocol' },
  ERR_NO_NODE_ADDRESS: { reason: 'InternalError', http: 500, help: 'the node has no address of a preferred type' },
  ERR_NODE_SILENT: {
    reason: 'InternalError',
    http: 500,
    help: "the pod's node has not been heard of for --node-monitor-grace-period; start its kubelet again",
  },
  ERR_DIAL: { reason: 'InternalError', http: 500, help: 'the next hop could not be reached' },
  ERR_DIAL_TIMEOUT: { reason: 'Timeout', http: 504, help: 'the next hop did not answer in time' },

  // On an upgraded connection.
  ERR_FRAME: { reason: 'InternalError', http: 500, help: 'the peer sent a frame that breaks SPDY/3.1' },
  ERR_HEADER_BLOCK: { reason: 'InternalError', http: 500, help: 'the peer sent a broken SPDY header block' },
  ERR_WEBSOCKET_FRAME: { reason: 'InternalError', http: 500, help: 'the peer sent a frame that breaks RFC 6455' },
  ERR_MESSAGE_TOO_LONG: { reason: 'BadRequest', http: 400, help: 'a WebSocket message exceeds the limit' },
  ERR_CHANNEL: { reason: 'BadRequest', http: 400, help: 'the peer sent a message that breaks the channel protocol' },
  ERR_STREAM_TIMEOUT: { reason: 'Timeout', http: 504, help: 'the peer did not open or confirm a stream in time' },
  ERR_STREAM_REFUSED: { reason: 'BadRequest', http: 400, help: 'the peer refused a stream' },
  ERR_STREAM_RESET: { reason: 'InternalError', http: 500, help: 'the peer gave up a stream' },
  ERR_CONNECTION_LOST: { reason: 'InternalError', http: 500, help: 'the connection ended without its goodbye' },
  ERR_IDLE_TIMEOUT: { reason: 'Timeout', http: 504, help: 'nothing was typed or read for the idle limit' },
  ERR_KEEPALIVE_TIMEOUT: { reason: 'Timeout', http: 504, help: 'the peer answered no ping within the limit' },

  // Calls to a runtime over CRI.
  ERR_CRI_ENDPOINT: { reason: 'BadRequest', http: 400, help: 'a CRI endpoint is unix:///path or tcp://host:port' },
  ERR_CRI_LISTEN: { reason: 'InternalError', http: 500, help: 'the CRI socket cannot be served' },
  ERR_CRI_NOT_FOUND: { reason: 'NotFound', http: 404, help: 'the runtime has no such pod sandbox, container or image' },
  ERR_CRI_INVALID_ARGUMENT: { reason: 'BadRequest', http: 400, help: 'the runtime refused an argument' },
  ERR_CRI_EXHAUSTED: { reason: 'TooManyRequests', http: 429, help: 'the runtime is at a limit' },
  ERR_CRI_UNIMPLEMENTED: { reason: 'InternalError', http: 500, help: 'the runtime does not know this call' },
  ERR_CRI_DEADLINE: { reason: 'InternalError', http: 500, help: 'the runtime did not answer a call in time' },
  ERR_CRI_UNAVAILABLE: { reason: 'InternalError', http: 500, help: 'the runtime cannot be reached or is starting' },
  ERR_CRI_CALL: { reason: 'InternalError', http: 500, help: 'the runtime reported this failure' },
  ERR_USAGE: { reason: 'BadRequest', http: 400, help: 'the command line breaks a rule: see --help' },
  ERR_NOT_READY: { reason: 'Timeout', http: 504, help: 'the cluster did not become ready in time' },
  ERR_LISTEN: { reason: 'InternalError', http: 500, help: 'the address cannot be listened on' },

  // Finding the command's container on a node.
  ERR_POD_UNKNOWN: { reason: 'NotFound', http: 404, help: 'the node has no such pod' },
  ERR_CONTAINER_NOT_FOUND: { reason: 'InternalError', http: 500, help: 'the pod runs no such container' },
  ERR_STREAMING_URL: { reason: 'InternalError', http: 500, help: 'the runtime must answer with an absolute URL' },

  // Outcome of a command.
  ERR_NO_STATUS: {
    reason: 'InternalError',
    http: 500,
    help: 'the session ended without a Status, so nobody knows the exit code',
  },
  ERR_OUTPUT_OPEN: { reason: 'Timeout', http: 504, help: 'the server ended the session but not its output in time' },
  ERR_STATUS_MALFORMED: { reason: 'InternalError', http: 500, help: 'the Status of the session cannot be read' },
  ERR_COMMAND_EXIT: { reason: 'NonZeroExitCode', http: 500, help: 'the command ended with a code other than 0' },
  ERR_REMOTE: { reason: 'InternalError', http: 500, help: 'a hop further on reported this failure' },
  ERR_ABORTED: { reason: 'InternalError', http: 500, help: 'the caller gave up' },

  // Starting a process.
  ERR_COMMAND_NOT_FOUND: {
    reason: 'InternalError',
    http: 500,
    help: 'no such program in the container: exit code 127',
  },
  ERR_COMMAND_NOT_EXECUTABLE: {
    reason: 'InternalError',
    http: 500,
    help: 'the program exists but may not be run: exit code 126',
  },
  ERR_COMMAND_START: {
    reason: 'InternalError',
    http: 500,
    help: 'the system did not start the process: exit code 126',
  },
  ERR_STATE_FOLDER: { reason: 'InternalError', http: 500, help: 'the state folder must be one that can be written' },
  ERR_STATE_IN_USE: { reason: 'Conflict', http: 409, help: 'another process has this state directory' },

  // Images of the runtime.
  ERR_IMAGE_ARCHIVE: { reason: 'BadRequest', http: 400, help: 'an image archive is an OCI layout or a docker save' },
  ERR_IMAGE_DIGEST: { reason: 'BadRequest', http: 400, help: 'a blob of an image must have the digest it is named by' },
  ERR_IMAGE_LAYER: { reason: 'BadRequest', http: 400, help: 'every member of a layer lies inside the root folder' },
  ERR_IMAGE_SPACE: { reason: 'InternalError', http: 507, help: 'an import leaves room on the disk' },
  ERR_IMAGE_UNKNOWN: { reason: 'NotFound', http: 404, help: 'an image is named by id, name, name:tag or name@digest' },
  ERR_IMAGE_IN_USE: { reason: 'Conflict', http: 409, help: 'an image stays while a container is made of it' },
  ERR_VOLUME_IN_USE: { reason: 'Conflict', http: 409, help: 'files of a pod stay while something is mounted in them' },
  ERR_ISOLATION: { reason: 'InternalError', http: 500, help: 'the host refused a mount, namespace or network' },

  ERR_TERMINAL_UNAVAILABLE: {
    reason: 'InternalError',
    http: 500,
    help: 'no terminal can be had: install the optional package of the PTY, or util-linux',
  },

  // The Kubernetes API, from the client's side; certificates.
  ERR_KUBECONFIG: { reason: 'BadRequest', http: 400, help: 'the kubeconfig cannot be used as it stands' },
  ERR_CREDENTIALS: { reason: 'Unauthorized', http: 401, help: 'the credentials for the next hop could not be got' },
  ERR_API_STATUS: { reason: 'InternalError', http: 500, help: 'the API refused the request with a Status' },
  ERR_API_ANSWER: { reason: 'InternalError', http: 500, help: 'the API answered with something that cannot be read' },
  ERR_API_TIMEOUT: { reason: 'Timeout', http: 504, help: 'the API did not answer in time' },
  ERR_MANIFEST: { reason: 'Invalid', http: 422, help: 'a manifest breaks a rule of its kind' },
  ERR_CERTIFICATE: { reason: 'InternalError', http: 500, help: 'a certificate or key cannot be made, read or used' },
  ERR_CERTIFICATE_EXISTS: {
    reason: 'AlreadyExists',
    http: 409,
    help: 'a certificate that is there is not replaced unasked',
  },
  ERR_REVIEW: {
    reason: 'InternalError',
    http: 500,
    help: 'the apiserver could not be asked who calls or what they may',
  },
} as const satisfies Record<string, { reason: string; http: number; help: string }>;

export type ErrorCode = keyof typeof errorTable;

/** The hops of the exec path, as they are named in errors, logs and `--help`. */
export type Hop = 'client' | 'apiserver' | 'kubelet' | 'runtime';

export interface ExecPathErrorOptions {
  readonly cause?: unknown;
  /** The hop that failed, not the one that noticed. */
  readonly hop?: Hop;
}

/**
 * Base of every failure that podwire raises on purpose.
 *
 * `message` starts lower-case, states the rule and quotes the offending value.
 */
export class ExecPathError extends Error {
  readonly code: ErrorCode;
  readonly hop: Hop | undefined;

  constructor(code: ErrorCode, message: string, options: ExecPathErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hop = options.hop;
  }
}

/** The peer broke a wire rule. */
export class ProtocolError extends ExecPathError {}

/** An upgrade got no 101. Carries what was answered, so that a caller can fall back or pass it on. */
export class UpgradeError extends ExecPathError {
  /** 0 when no HTTP answer arrived at all. */
  readonly httpStatus: number;
  readonly body: string;
  /** Header lines of the answer, as they stood on the wire. */
  readonly headers: readonly (readonly [name: string, value: string])[];

  constructor(
    code: ErrorCode,
    message: string,
    answer: {
      readonly httpStatus: number;
      readonly body: string;
      readonly headers?: readonly (readonly [name: string, value: string])[];
    },
    options: ExecPathErrorOptions = {},
  ) {
    super(code, message, options);
    this.httpStatus = answer.httpStatus;
    this.body = answer.body;
    this.headers = answer.headers ?? [];
  }
}

/** The command ended with a code other than 0: a result, not a fault. */
export class CommandExitError extends ExecPathError {
  /** 1 … 255 */
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('ERR_COMMAND_EXIT', `command terminated with exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Anything thrown, as an Error; strings and other values become its message. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** A `switch` over a union ends here; reached only when a case is missing. */
export function assertNever(value: never): never {
  throw new ExecPathError('ERR_INTERNAL', `unexpected value ${JSON.stringify(value)}`);
}
