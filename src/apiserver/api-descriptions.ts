/**
 * What `kubectl explain` says, in podwire's words: a type, or one of its fields, a line each. What stands here is what
 * podwire reads; types that it only hands on have no words of their own.
 */
const text = `
Pod: Containers that run together on one node and share network, volumes and fate.
Pod.spec: What is to run.
Pod.status: What runs, as the node's kubelet reports it. Written through pods/status alone.
Node: A machine with a kubelet that runs pods.
Node.spec: Whether and which pods may come to the node.
Node.status: What the node's kubelet reports of itself.
Namespace: A room for names: two objects of one kind may bear one name in two namespaces.
Event: Something that happened to an object. Events are kept for --event-ttl, not for ever.
ServiceAccount: An identity for what runs in pods.
Lease: A promise to be there until a time. A kubelet renews its node's lease in kube-node-lease; when it ceases to, the node is not ready.
Service: A name for pods. podwire has none: the list is empty, and kubelets wait for it.
CSINode: What the volume drivers of a node call it. A kubelet writes its own; podwire reads nothing of it.
Binding: Puts a pod on a node.
Eviction: Asks for a pod to be deleted.
DeleteOptions: How an object is to be deleted.
DeleteOptions.gracePeriodSeconds: Seconds that containers get to end by themselves. 0: at once.
DeleteOptions.preconditions: What must hold of the object, else nothing is deleted.
ObjectMeta: What every object has: its name, its identity, what is said about it.
ObjectMeta.name: Unique within the kind and the namespace; never changes.
ObjectMeta.generateName: When no name is given, the server makes one that begins with this text.
ObjectMeta.namespace: The room of the name; never changes.
ObjectMeta.uid: Given by the server; no two objects ever have the same.
ObjectMeta.labels: Words to select objects by.
ObjectMeta.annotations: Words that nobody selects by, for programs and people.
ObjectMeta.resourceVersion: Changes with every write. An update that names it is refused when somebody else wrote since.
ObjectMeta.generation: Counts the changes of spec.
ObjectMeta.creationTimestamp: When the server created the object.
ObjectMeta.deletionTimestamp: Set while the object is being deleted: when its grace ends.
ObjectMeta.deletionGracePeriodSeconds: The grace that began with the deletion, in seconds.
ObjectMeta.finalizers: The object stays until each of these has been taken away.
ObjectMeta.ownerReferences: Objects that this one belongs to.
ObjectMeta.managedFields: Who wrote which field. Not kept here: there is no server-side apply.
OwnerReference: An object that another one belongs to.
PodSpec: What a pod is to run, where and how.
PodSpec.containers: The containers, which start together when the init containers are done. At least one.
PodSpec.initContainers: Run one after the other, each to its end, before the containers start. One with restartPolicy Always stays beside them.
PodSpec.ephemeralContainers: Added to a running pod, as by kubectl debug; never restarted.
PodSpec.volumes: Folders that containers mount by name.
PodSpec.restartPolicy: When a container that has ended starts again: Always (the default), OnFailure or Never. Waits between starts grow from 10 s to 5 min.
PodSpec.terminationGracePeriodSeconds: Seconds between the stop signal and the kill when the pod is deleted. Default 30.
PodSpec.activeDeadlineSeconds: The pod fails when it has been active for so long, in seconds. Not read by podwire's kubelet.
PodSpec.nodeName: The node that runs the pod. When empty, the server chooses one.
PodSpec.nodeSelector: Labels that the node must have.
PodSpec.tolerations: Taints of nodes that do not keep the pod away.
PodSpec.hostNetwork: Use the node's network.
PodSpec.hostPID: See the node's processes.
PodSpec.hostIPC: Use the node's IPC.
PodSpec.shareProcessNamespace: The containers see each other's processes.
PodSpec.hostname: The host name within the pod. Default: the pod's name.
PodSpec.securityContext: User, groups and the like of all containers that do not say otherwise.
PodSpec.serviceAccountName: The identity of the pod. podwire's kubelet asks a real cluster for its tokens; podwire's apiserver gives none.
PodSpec.schedulingGates: The pod gets no node while one of these stands.
PodSpec.affinity: Beside which pods, and on which nodes, the pod must or would rather be. Wishes about pods are not read by podwire's scheduler.
PodSpec.topologySpreadConstraints: How evenly pods are spread over nodes or zones. podwire's scheduler keeps those with DoNotSchedule.
PodSpec.runtimeClassName: There are no runtime classes: a pod that names one is refused.
PodSpec.schedulerName: Who chooses the node. Default default-scheduler; with another name the server does not.
PodSpec.imagePullSecrets: Credentials for images. Not used by podwire.
Container: One command from one image.
Container.name: Unique within the pod: a DNS label.
Container.image: The image to run.
Container.imagePullPolicy: Always, IfNotPresent or Never. Default Always for the tag latest, else IfNotPresent.
Container.command: Replaces the image's entrypoint. No shell is involved. $(NAME) stands for an environment variable, $$ for $.
Container.args: Replaces the image's arguments. $(NAME) stands for an environment variable, $$ for $.
Container.workingDir: Where the command starts. Default: what the image says.
Container.env: Environment variables.
Container.envFrom: Variables from config maps and secrets. podwire's kubelet reads those of a real cluster; podwire's apiserver has none.
Container.ports: Ports that the container listens on: said for people, nothing is opened or closed by it.
Container.volumeMounts: Where volumes of the pod stand in the container's files.
Container.resources: What the container needs and may have at most.
Container.stdin: Keep a stdin for attach.
Container.stdinOnce: Close stdin when the first attach that used it ends.
Container.tty: Give the command a terminal.
Container.livenessProbe: Not run by podwire's kubelet.
Container.readinessProbe: Not run by podwire's kubelet.
Container.startupProbe: Not run by podwire's kubelet.
Container.lifecycle: Not run by podwire's kubelet.
Container.restartPolicy: Init containers only. Always makes one that stays beside the containers.
Container.securityContext: User, capabilities and the like.
Container.terminationMessagePath: A file whose content becomes the message of the container's end.
EphemeralContainer: A container that is added to a running pod.
EphemeralContainer.targetContainerName: The container whose processes it sees.
ContainerPort: A port that a container listens on.
EnvVar: One environment variable.
EnvVar.value: Its value. $(NAME) stands for a variable before it, $$ for $.
EnvVar.valueFrom: Where its value comes from.
EnvVarSource: Where a value comes from. podwire's kubelet knows fieldRef, resourceFieldRef, configMapKeyRef and secretKeyRef.
EnvVarSource.fieldRef: A field of the pod: metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP, status.podIPs.
ObjectFieldSelector: A field of an object.
ResourceRequirements: Amounts of cpu, memory and so on.
ResourceRequirements.limits: The most that may be used.
ResourceRequirements.requests: What must be there. Default: the limits.
Volume: A folder with a name that containers mount. podwire's kubelet knows emptyDir, hostPath, configMap, secret, downwardAPI and projected.
EmptyDirVolumeSource: A folder that begins empty and lasts as long as the pod.
HostPathVolumeSource: A file or folder of the node.
HostPathVolumeSource.path: Where it stands on the node.
HostPathVolumeSource.type: What must be there, or be made: empty (no check), DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice, BlockDevice.
VolumeMount: A volume in a container's files.
VolumeMount.name: The volume's name.
VolumeMount.mountPath: Where it stands in the container.
VolumeMount.readOnly: It cannot be written.
VolumeMount.subPath: A path within the volume to mount in place of its root.
SecurityContext: User, capabilities and the like of one container.
PodSecurityContext: User, groups and the like of a pod's containers.
Toleration: A taint that does not keep a pod away. An empty key with operator Exists tolerates every taint.
Toleration.effect: The effect that is tolerated. Empty: every one.
Taint: Keeps pods away that do not tolerate it.
Taint.effect: NoSchedule: no new pods; PreferNoSchedule: rather none; NoExecute: no new ones either.
Probe: A check of a container. Not run by podwire's kubelet.
Lifecycle: Commands at the start and the end of a container. Not run by podwire's kubelet.
PodStatus: What runs of a pod.
PodStatus.phase: Pending, Running, Succeeded or Failed.
PodStatus.conditions: PodScheduled, PodReadyToStartContainers, Initialized, ContainersReady, Ready.
PodStatus.containerStatuses: One for each container.
PodStatus.initContainerStatuses: One for each init container.
PodStatus.podIP: The pod's address.
PodStatus.hostIP: The node's address.
PodStatus.startTime: When the kubelet took the pod.
PodStatus.qosClass: Guaranteed, Burstable or BestEffort, from requests and limits.
PodStatus.reason: A word for why the pod is in this phase.
PodStatus.message: The same for people.
PodCondition: One thing that holds of a pod or not.
ContainerStatus: How a container is.
ContainerStatus.state: waiting, running or terminated.
ContainerStatus.lastState: How it ended the last time.
ContainerStatus.ready: It runs and is ready.
ContainerStatus.restartCount: How often it was started again.
ContainerStatus.containerID: The runtime's name and the container's id there.
ContainerState: One of waiting, running, terminated.
ContainerStateWaiting: It is not running yet, or not any more.
ContainerStateRunning: It runs.
ContainerStateTerminated: It has ended.
NodeSpec: Whether and which pods may come to a node.
NodeSpec.unschedulable: No new pods, as kubectl cordon sets it.
NodeSpec.taints: They keep pods away that do not tolerate them.
NodeStatus: What a kubelet reports of its node.
NodeStatus.addresses: Where the node is reached.
NodeStatus.conditions: Ready, and what presses the node.
NodeStatus.capacity: What the node has.
NodeStatus.allocatable: What pods may use of it.
NodeStatus.nodeInfo: Its system and its programs.
NodeStatus.daemonEndpoints: The port of its kubelet.
NodeStatus.declaredFeatures: What its kubelet can do.
NodeCondition: One thing that holds of a node or not.
NamespaceSpec: Who must let go before the namespace goes.
NamespaceStatus: Whether the namespace is in use.
NamespaceStatus.phase: Active, or Terminating while its content is being deleted.
Event.involvedObject: The object that it happened to.
Event.reason: One word for what happened.
Event.message: What happened, for people.
Event.type: Normal or Warning.
Event.count: How often it happened.
Event.firstTimestamp: When it happened first.
Event.lastTimestamp: When it happened last.
Event.source: Who reports it.
ObjectReference: An object by its kind, name and uid.
LeaseSpec: Who holds the lease, since when and for how long.
LeaseSpec.holderIdentity: Who holds it.
LeaseSpec.renewTime: When the holder renewed it last.
LeaseSpec.leaseDurationSeconds: How long it lasts after that, in seconds.
`;

const descriptions: ReadonlyMap<string, string> = new Map(
  text
    .trim()
    .split('\n')
    .map((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
);

/** @param name a type, or `TYPE.FIELD` */
export function descriptionOf(name: string): string | undefined {
  return descriptions.get(name);
}
