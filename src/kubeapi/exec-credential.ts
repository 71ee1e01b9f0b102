/** What a credential plugin answered. */
export interface ExecCredential {
  readonly token: string | undefined;
  /** PEM; both or none. */
  readonly clientCertificate: string | undefined;
  readonly clientKey: string | undefined;
  /** Milliseconds since 1970; undefined keeps until the server says 401. */
  readonly expiresAt: number | undefined;
}

/**
 * Reads the ExecCredential that a plugin printed.
 *
 * @throws Error saying which rule it breaks; never quotes what may be a secret
 */
export function parseExecCredential(text: string, apiVersion: string): ExecCredential {
  const answer = object(parseJson(text), 'its answer');
  if (answer['kind'] !== 'ExecCredential')
    throw new Error(`answered with kind ${say(answer['kind'])}, not ExecCredential`);
  if (answer['apiVersion'] !== apiVersion) {
    throw new Error(`answered with apiVersion ${say(answer['apiVersion'])}, the kubeconfig says ${apiVersion}`);
  }
  const status = object(answer['status'], 'status');
  const token = textField(status, 'token');
  const clientCertificate = textField(status, 'clientCertificateData');
  const clientKey = textField(status, 'clientKeyData');
  if ((clientCertificate === undefined) !== (clientKey === undefined)) {
    throw new Error('answered with only one of clientCertificateData and clientKeyData');
  }
  if (token === undefined && clientCertificate === undefined) {
    throw new Error('answered with neither a token nor a client certificate');
  }
  return { token, clientCertificate, clientKey, expiresAt: expiry(textField(status, 'expirationTimestamp')) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('did not answer in JSON');
  }
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`answered without ${what}`);
  return value as Record<string, unknown>;
}

function textField(values: Record<string, unknown>, name: string): string | undefined {
  const value = values[name];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw new Error(`answered with a ${name} that is not text`);
  return value;
}

function expiry(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new Error(`answered with expirationTimestamp ${say(text)}, which is not RFC 3339`);
  return at;
}

function say(value: unknown): string {
  return JSON.stringify(value) ?? 'none';
}
