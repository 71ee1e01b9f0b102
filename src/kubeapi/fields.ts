import { ExecPathError } from '../common/errors.ts';

/** A mapping of a kubeconfig, read field by field. Errors name the file, the entry and the field. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  /** `/home/me/.kube/config: user "me": exec`: how errors begin. */
  readonly where: string;

  /** @throws ExecPathError ERR_KUBECONFIG when `value` is neither a mapping nor absent */
  constructor(value: unknown, where: string) {
    if (value !== undefined && value !== null && (typeof value !== 'object' || Array.isArray(value))) {
      throw new ExecPathError('ERR_KUBECONFIG', `${where} is not a mapping but ${quote(value)}`);
    }
    this.#values = { ...value };
    this.where = where;
  }

  /** Absent, null and `''` are all undefined, as they are the same in Go. */
  string(name: string): string | undefined {
    const value = this.#values[name];
    if (value === undefined || value === null || value === '') return undefined;
    return typeof value === 'string' ? value : this.#refuse(name, 'text', value);
  }

  /** @throws ExecPathError ERR_KUBECONFIG when absent */
  required(name: string): string {
    return this.string(name) ?? this.fail(`${name} is missing`);
  }

  flag(name: string): boolean {
    const value = this.#values[name];
    if (value === undefined || value === null) return false;
    return typeof value === 'boolean' ? value : this.#refuse(name, 'true or false', value);
  }

  strings(name: string): readonly string[] {
    return this.#list(name).map((item) =>
      typeof item === 'string' ? item : this.#refuse(name, 'a list of text', item),
    );
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined && this.#values[name] !== null;
  }

  raw(name: string): unknown {
    return this.#values[name];
  }

  names(): string[] {
    return Object.keys(this.#values);
  }

  mapping(name: string): Fields {
    return new Fields(this.#values[name], `${this.where}: ${name}`);
  }

  mappings(name: string): Fields[] {
    return this.#list(name).map((item, index) => new Fields(item, `${this.where}: ${name}[${index}]`));
  }

  /** The bytes of a base64 field as text. */
  base64(name: string): string | undefined {
    const text = this.string(name)?.replace(/\s+/g, '');
    if (text === undefined) return undefined;
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return this.fail(`${name} is not base64`);
    return Buffer.from(text, 'base64').toString('utf8');
  }

  fail(message: string): never {
    throw new ExecPathError('ERR_KUBECONFIG', `${this.where}: ${message}`);
  }

  #list(name: string): readonly unknown[] {
    const value = this.#values[name];
    if (value === undefined || value === null) return [];
    return Array.isArray(value) ? (value as unknown[]) : this.#refuse(name, 'a list', value);
  }

  /** Quotes only the kind of what stands there: it may be a secret. */
  #refuse(name: string, expected: string, value: unknown): never {
    return this.fail(`${name} is not ${expected} but ${quote(value)}${typeof value === 'string' ? '' : ': quote it'}`);
  }
}

function quote(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
}
