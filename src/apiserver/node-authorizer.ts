import { nodeNameOf } from '../identity/index.ts';
import { NODE_LEASE_NAMESPACE, pods } from '../kubeapi/index.ts';
import { type Authorizer, type Decision, noOpinion } from './authorization.ts';
import type { Registry } from './registry.ts';
import type { ResourceRequest } from './request-info.ts';

const allow: Decision = { verdict: 'allow', reason: '' };
const refuse = (reason: string): Decision => ({ verdict: 'no-opinion', reason });

/**
 * What a kubelet may do: read and report its own node and lease, the pods that are bound to it, and events; and ask who
 * calls it and whether that one may. What it writes is checked further by {@link admitFromNode}.
 *
 * @see kubernetes plugin/pkg/auth/authorizer/node
 */
export function nodeAuthorizer(registry: Registry): Authorizer {
  return {
    async authorize(user, attributes) {
      const node = nodeNameOf(user);
      if (node === undefined || attributes.kind !== 'resource') return noOpinion;
      switch (`${attributes.group}/${attributes.resource}`) {
        case '/nodes':
          return authorizeNode(node, attributes);
        case '/pods':
          return authorizePod(registry, node, attributes);
        case 'coordination.k8s.io/leases':
          return authorizeLease(node, attributes);
        case 'storage.k8s.io/csinodes':
          return authorizeCsiNode(node, attributes);
        case '/services':
        case 'node.k8s.io/runtimeclasses':
        case 'storage.k8s.io/csidrivers':
          // Two of the three do not exist here: their reader is to learn that, not that it may not ask.
          return attributes.subresource === '' && ['get', 'list', 'watch'].includes(attributes.verb)
            ? allow
            : noOpinion;
        case '/events':
          return attributes.subresource === '' && ['create', 'patch', 'update'].includes(attributes.verb)
            ? allow
            : noOpinion;
        case 'authentication.k8s.io/tokenreviews':
        case 'authorization.k8s.io/subjectaccessreviews':
          return attributes.verb === 'create' ? allow : noOpinion;
        default:
          return noOpinion;
      }
    },
    rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
  };
}

function authorizeNode(node: string, { verb, subresource, name, fieldSelector }: ResourceRequest): Decision {
  // The name stands in the body alone; admission looks there.
  if (verb === 'create' && subresource === '') return allow;
  const isOwn = name === node || (name === '' && fieldSelector.requiredValue('metadata.name') === node);
  if (!isOwn) return refuse(`node "${node}" can only read and write its own node`);
  const verbs = subresource === '' ? ['get', 'list', 'watch', 'patch', 'update'] : ['get', 'patch', 'update'];
  return ['', 'status'].includes(subresource) && verbs.includes(verb) ? allow : noOpinion;
}

async function authorizePod(registry: Registry, node: string, request: ResourceRequest): Promise<Decision> {
  const { verb, subresource, name, namespace, fieldSelector } = request;
  if (verb === 'create' && subresource === '') return allow;
  if (verb === 'list' || verb === 'watch') {
    if (fieldSelector.requiredValue('spec.nodeName') === node) return allow;
    return refuse(`node "${node}" can only list pods with the field selector spec.nodeName=${node}`);
  }
  const verbs = subresource === '' ? ['get', 'delete'] : ['get', 'patch', 'update'];
  if (!['', 'status'].includes(subresource) || !verbs.includes(verb)) return noOpinion;
  const isOwn = await isBoundTo(registry, node, { namespace, name });
  return isOwn ? allow : refuse(`no relationship found between node "${node}" and this object`);
}

/** A pod that does not exist is nobody's: whoever asks may learn that it is gone. */
async function isBoundTo(
  registry: Registry,
  node: string,
  address: { readonly namespace: string; readonly name: string },
): Promise<boolean> {
  const found = await registry.find(pods, address);
  return found === undefined || found.spec.nodeName === node;
}

function authorizeCsiNode(node: string, { verb, name }: ResourceRequest): Decision {
  if (verb === 'create') return allow;
  const isOwn = name === node && ['get', 'update', 'patch', 'delete'].includes(verb);
  return isOwn ? allow : refuse(`node "${node}" can only read and write its own CSINode`);
}

function authorizeLease(node: string, { verb, namespace, name }: ResourceRequest): Decision {
  if (namespace !== NODE_LEASE_NAMESPACE) return noOpinion;
  if (verb === 'create') return allow;
  const isOwn = name === node && ['get', 'update', 'patch', 'delete'].includes(verb);
  return isOwn ? allow : refuse(`node "${node}" can only read and write its own lease`);
}
