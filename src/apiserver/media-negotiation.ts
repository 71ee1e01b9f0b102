import { ExecPathError } from '../common/errors.ts';

/** How an object or a list is to be shown. */
export type AnswerForm =
  | { readonly form: 'object' }
  | { readonly form: 'table'; readonly apiVersion: 'meta.k8s.io/v1' | 'meta.k8s.io/v1beta1' };

/** Which discovery document is wanted: all groups in one, or the older one for each. */
export type DiscoveryForm = 'v2' | 'v2beta1' | 'legacy';

interface MediaRange {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * The first form of an Accept header that can be given; clients list what they like best first.
 *
 * @param accept `''` accepts everything
 * @throws ExecPathError ERR_NOT_ACCEPTABLE
 */
export function answerFormOf(accept: string): AnswerForm {
  if (accept.trim() === '') return { form: 'object' };
  for (const range of mediaRanges(accept)) {
    const { as, g, v } = range.parameters;
    if (!isJson(range)) continue;
    if (as === undefined) return { form: 'object' };
    if (as !== 'Table' || g !== 'meta.k8s.io' || (v !== 'v1' && v !== 'v1beta1')) continue;
    return { form: 'table', apiVersion: `meta.k8s.io/${v}` };
  }
  throw new ExecPathError(
    'ERR_NOT_ACCEPTABLE',
    'only the following media types are accepted: application/json, application/json;as=Table;v=v1;g=meta.k8s.io',
    { hop: 'apiserver' },
  );
}

/** Whatever else is accepted, discovery can always be given in its oldest form. */
export function discoveryFormOf(accept: string): DiscoveryForm {
  for (const range of mediaRanges(accept)) {
    const { as, g, v } = range.parameters;
    if (!isJson(range)) continue;
    if (as === undefined) return 'legacy';
    if (as === 'APIGroupDiscoveryList' && g === 'apidiscovery.k8s.io' && (v === 'v2' || v === 'v2beta1')) return v;
  }
  return 'legacy';
}

function isJson({ type }: MediaRange): boolean {
  return type === 'application/json' || type === 'application/*' || type === '*/*';
}

function mediaRanges(accept: string): MediaRange[] {
  return accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    return {
      type: type.toLowerCase(),
      parameters: Object.fromEntries(
        parameters.map((parameter) => {
          const [name = '', ...value] = parameter.split('=');
          return [name.trim().toLowerCase(), value.join('=').trim()];
        }),
      ),
    };
  });
}
