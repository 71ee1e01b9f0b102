/**
 * What the objects of the API consist of: facts of Kubernetes' types in the release that `version.ts` names, its alpha
 * fields among them, one type a paragraph, one field a word. Of a later release: `declaredFeatures`, by which kubelets
 * tell whether WebSockets pass through to them.
 *
 * `name!:type@key=default`: `!` must be there; `@key`, the list is a map by that field and a strategic merge patch
 * merges its objects by it (`@key,more`: the map has more keys; `@*`: a set of plain values, united); `#key`, a map that
 * a patch replaces; other lists are replaced as a whole. `+retain`, a patch removes the fields of a union that
 * `$retainKeys` does not name; `+atomic`, a map or a list is written as a whole though a patch may merge it.
 *
 * A type is a scalar, `string/` with the name that Go has for it, another type of this list, `[]` a list or `{}` a map
 * of one. `=` is what stands there when nothing is sent: `{}` for a struct that Go holds by value; where nothing is said,
 * what must be there begins as zero. Behind the name of a type, `+atomic` says that it is written as a whole,
 * `+union@field` that the field tells which one of the others is there.
 *
 * @see kubernetes/api core/v1, coordination/v1, policy/v1; apimachinery meta/v1
 */
export const apiTypes = `
Pod: apiVersion:string kind:string metadata:ObjectMeta={} spec:PodSpec={} status:PodStatus={}
ObjectMeta: annotations:{}string creationTimestamp:Time deletionGracePeriodSeconds:int64 deletionTimestamp:Time
  finalizers:[]string@* generateName:string generation:int64 labels:{}string managedFields:[]ManagedFieldsEntry
  name:string namespace:string ownerReferences:[]OwnerReference@uid resourceVersion:string selfLink:string
  uid:string/types.UID
OwnerReference+atomic: apiVersion!:string blockOwnerDeletion:bool controller:bool kind!:string name!:string
  uid!:string/types.UID
ManagedFieldsEntry: apiVersion:string fieldsType:string fieldsV1:FieldsV1 manager:string
  operation:string/v1.ManagedFieldsOperationType subresource:string time:Time
PodSpec: activeDeadlineSeconds:int64 affinity:Affinity automountServiceAccountToken:bool containers!:[]Container@name
  dnsConfig:PodDNSConfig dnsPolicy:string/v1.DNSPolicy enableServiceLinks:bool
  ephemeralContainers:[]EphemeralContainer@name hostAliases:[]HostAlias@ip hostIPC:bool hostNetwork:bool hostPID:bool
  hostUsers:bool hostname:string imagePullSecrets:[]LocalObjectReference@name initContainers:[]Container@name
  nodeName:string nodeSelector:{}string+atomic os:PodOS overhead:{}Quantity
  preemptionPolicy:string/v1.PreemptionPolicy priority:int32 priorityClassName:string
  readinessGates:[]PodReadinessGate resourceClaims:[]PodResourceClaim@name+retain resources:ResourceRequirements
  restartPolicy:string/v1.RestartPolicy runtimeClassName:string schedulerName:string
  schedulingGates:[]PodSchedulingGate@name securityContext:PodSecurityContext serviceAccount:string
  serviceAccountName:string setHostnameAsFQDN:bool shareProcessNamespace:bool subdomain:string
  terminationGracePeriodSeconds:int64 tolerations:[]Toleration
  topologySpreadConstraints:[]TopologySpreadConstraint@topologyKey,whenUnsatisfiable volumes:[]Volume@name+retain
Volume: awsElasticBlockStore:AWSElasticBlockStoreVolumeSource azureDisk:AzureDiskVolumeSource
  azureFile:AzureFileVolumeSource cephfs:CephFSVolumeSource cinder:CinderVolumeSource configMap:ConfigMapVolumeSource
  csi:CSIVolumeSource downwardAPI:DownwardAPIVolumeSource emptyDir:EmptyDirVolumeSource
  ephemeral:EphemeralVolumeSource fc:FCVolumeSource flexVolume:FlexVolumeSource flocker:FlockerVolumeSource
  gcePersistentDisk:GCEPersistentDiskVolumeSource gitRepo:GitRepoVolumeSource glusterfs:GlusterfsVolumeSource
  hostPath:HostPathVolumeSource image:ImageVolumeSource iscsi:ISCSIVolumeSource name!:string nfs:NFSVolumeSource
  persistentVolumeClaim:PersistentVolumeClaimVolumeSource photonPersistentDisk:PhotonPersistentDiskVolumeSource
  portworxVolume:PortworxVolumeSource projected:ProjectedVolumeSource quobyte:QuobyteVolumeSource rbd:RBDVolumeSource
  scaleIO:ScaleIOVolumeSource secret:SecretVolumeSource storageos:StorageOSVolumeSource
  vsphereVolume:VsphereVirtualDiskVolumeSource
HostPathVolumeSource: path!:string type:string/v1.HostPathType
EmptyDirVolumeSource: medium:string/v1.StorageMedium sizeLimit:Quantity
GCEPersistentDiskVolumeSource: fsType:string partition:int32 pdName!:string readOnly:bool
AWSElasticBlockStoreVolumeSource: fsType:string partition:int32 readOnly:bool volumeID!:string
GitRepoVolumeSource: directory:string repository!:string revision:string
SecretVolumeSource: defaultMode:int32 items:[]KeyToPath optional:bool secretName:string
KeyToPath: key!:string mode:int32 path!:string
NFSVolumeSource: path!:string readOnly:bool server!:string
ISCSIVolumeSource: chapAuthDiscovery:bool chapAuthSession:bool fsType:string initiatorName:string iqn!:string
  iscsiInterface:string=default lun!:int32 portals:[]string readOnly:bool secretRef:LocalObjectReference
  targetPortal!:string
LocalObjectReference+atomic: name:string=
GlusterfsVolumeSource: endpoints!:string path!:string readOnly:bool
PersistentVolumeClaimVolumeSource: claimName!:string readOnly:bool
RBDVolumeSource: fsType:string image!:string keyring:string=/etc/ceph/keyring monitors!:[]string pool:string=rbd
  readOnly:bool secretRef:LocalObjectReference user:string=admin
FlexVolumeSource: driver!:string fsType:string options:{}string readOnly:bool secretRef:LocalObjectReference
CinderVolumeSource: fsType:string readOnly:bool secretRef:LocalObjectReference volumeID!:string
CephFSVolumeSource: monitors!:[]string path:string readOnly:bool secretFile:string secretRef:LocalObjectReference
  user:string
FlockerVolumeSource: datasetName:string datasetUUID:string
DownwardAPIVolumeSource: defaultMode:int32 items:[]DownwardAPIVolumeFile
DownwardAPIVolumeFile: fieldRef:ObjectFieldSelector mode:int32 path!:string resourceFieldRef:ResourceFieldSelector
ObjectFieldSelector+atomic: apiVersion:string fieldPath!:string
ResourceFieldSelector+atomic: containerName:string divisor:Quantity resource!:string
FCVolumeSource: fsType:string lun:int32 readOnly:bool targetWWNs:[]string wwids:[]string
AzureFileVolumeSource: readOnly:bool secretName!:string shareName!:string
ConfigMapVolumeSource: defaultMode:int32 items:[]KeyToPath name:string= optional:bool
VsphereVirtualDiskVolumeSource: fsType:string storagePolicyID:string storagePolicyName:string volumePath!:string
QuobyteVolumeSource: group:string readOnly:bool registry!:string tenant:string user:string volume!:string
AzureDiskVolumeSource: cachingMode:string/v1.AzureDataDiskCachingMode=ReadWrite diskName!:string diskURI!:string
  fsType:string=ext4 kind:string/v1.AzureDataDiskKind=Shared readOnly:bool=false
PhotonPersistentDiskVolumeSource: fsType:string pdID!:string
ProjectedVolumeSource: defaultMode:int32 sources:[]VolumeProjection
VolumeProjection: clusterTrustBundle:ClusterTrustBundleProjection configMap:ConfigMapProjection
  downwardAPI:DownwardAPIProjection secret:SecretProjection serviceAccountToken:ServiceAccountTokenProjection
SecretProjection: items:[]KeyToPath name:string= optional:bool
DownwardAPIProjection: items:[]DownwardAPIVolumeFile
ConfigMapProjection: items:[]KeyToPath name:string= optional:bool
ServiceAccountTokenProjection: audience:string expirationSeconds:int64 path!:string
ClusterTrustBundleProjection: labelSelector:LabelSelector name:string optional:bool path!:string signerName:string
LabelSelector+atomic: matchExpressions:[]LabelSelectorRequirement matchLabels:{}string
LabelSelectorRequirement: key!:string operator!:string/v1.LabelSelectorOperator values:[]string
PortworxVolumeSource: fsType:string readOnly:bool volumeID!:string
ScaleIOVolumeSource: fsType:string=xfs gateway!:string protectionDomain:string readOnly:bool
  secretRef!:LocalObjectReference sslEnabled:bool storageMode:string=ThinProvisioned storagePool:string system!:string
  volumeName:string
StorageOSVolumeSource: fsType:string readOnly:bool secretRef:LocalObjectReference volumeName:string
  volumeNamespace:string
CSIVolumeSource: driver!:string fsType:string nodePublishSecretRef:LocalObjectReference readOnly:bool
  volumeAttributes:{}string
EphemeralVolumeSource: volumeClaimTemplate:PersistentVolumeClaimTemplate
PersistentVolumeClaimTemplate: metadata:ObjectMeta={} spec!:PersistentVolumeClaimSpec={}
PersistentVolumeClaimSpec: accessModes:[]string/v1.PersistentVolumeAccessMode dataSource:TypedLocalObjectReference
  dataSourceRef:TypedObjectReference resources:VolumeResourceRequirements={} selector:LabelSelector
  storageClassName:string volumeAttributesClassName:string volumeMode:string/v1.PersistentVolumeMode volumeName:string
VolumeResourceRequirements: limits:{}Quantity requests:{}Quantity
TypedLocalObjectReference+atomic: apiGroup:string kind!:string name!:string
TypedObjectReference: apiGroup:string kind!:string name!:string namespace:string
ImageVolumeSource: pullPolicy:string/v1.PullPolicy reference:string
Container: args:[]string command:[]string env:[]EnvVar@name envFrom:[]EnvFromSource image:string
  imagePullPolicy:string/v1.PullPolicy lifecycle:Lifecycle livenessProbe:Probe name!:string
  ports:[]ContainerPort@containerPort,protocol readinessProbe:Probe resizePolicy:[]ContainerResizePolicy
  resources:ResourceRequirements={} restartPolicy:string/v1.ContainerRestartPolicy securityContext:SecurityContext
  startupProbe:Probe stdin:bool stdinOnce:bool terminationMessagePath:string
  terminationMessagePolicy:string/v1.TerminationMessagePolicy tty:bool volumeDevices:[]VolumeDevice@devicePath
  volumeMounts:[]VolumeMount@mountPath workingDir:string
ContainerPort: containerPort!:int32 hostIP:string hostPort:int32 name:string protocol:string/v1.Protocol=TCP
EnvFromSource: configMapRef:ConfigMapEnvSource prefix:string secretRef:SecretEnvSource
ConfigMapEnvSource: name:string= optional:bool
SecretEnvSource: name:string= optional:bool
EnvVar: name!:string value:string valueFrom:EnvVarSource
EnvVarSource: configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector resourceFieldRef:ResourceFieldSelector
  secretKeyRef:SecretKeySelector
ConfigMapKeySelector+atomic: key!:string name:string= optional:bool
SecretKeySelector+atomic: key!:string name:string= optional:bool
ResourceRequirements: claims:[]ResourceClaim#name limits:{}Quantity requests:{}Quantity
ResourceClaim: name!:string request:string
ContainerResizePolicy: resourceName!:string/v1.ResourceName restartPolicy!:string/v1.ResourceResizeRestartPolicy
VolumeMount: mountPath!:string mountPropagation:string/v1.MountPropagationMode name!:string readOnly:bool
  recursiveReadOnly:string/v1.RecursiveReadOnlyMode subPath:string subPathExpr:string
VolumeDevice: devicePath!:string name!:string
Probe: exec:ExecAction failureThreshold:int32 grpc:GRPCAction httpGet:HTTPGetAction initialDelaySeconds:int32
  periodSeconds:int32 successThreshold:int32 tcpSocket:TCPSocketAction terminationGracePeriodSeconds:int64
  timeoutSeconds:int32
ExecAction: command:[]string
HTTPGetAction: host:string httpHeaders:[]HTTPHeader path:string port!:IntOrString scheme:string/v1.URIScheme
HTTPHeader: name!:string value!:string
TCPSocketAction: host:string port!:IntOrString
GRPCAction: port!:int32 service:string=
Lifecycle: postStart:LifecycleHandler preStop:LifecycleHandler
LifecycleHandler: exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction tcpSocket:TCPSocketAction
SleepAction: seconds!:int64
SecurityContext: allowPrivilegeEscalation:bool appArmorProfile:AppArmorProfile capabilities:Capabilities
  privileged:bool procMount:string/v1.ProcMountType readOnlyRootFilesystem:bool runAsGroup:int64 runAsNonRoot:bool
  runAsUser:int64 seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile
  windowsOptions:WindowsSecurityContextOptions
Capabilities: add:[]string/v1.Capability drop:[]string/v1.Capability
SELinuxOptions: level:string role:string type:string user:string
WindowsSecurityContextOptions: gmsaCredentialSpec:string gmsaCredentialSpecName:string hostProcess:bool
  runAsUserName:string
SeccompProfile+union@type: localhostProfile:string type!:string/v1.SeccompProfileType
AppArmorProfile+union@type: localhostProfile:string type!:string/v1.AppArmorProfileType
EphemeralContainer: args:[]string command:[]string env:[]EnvVar@name envFrom:[]EnvFromSource image:string
  imagePullPolicy:string/v1.PullPolicy lifecycle:Lifecycle livenessProbe:Probe name!:string
  ports:[]ContainerPort@containerPort,protocol readinessProbe:Probe resizePolicy:[]ContainerResizePolicy
  resources:ResourceRequirements={} restartPolicy:string/v1.ContainerRestartPolicy securityContext:SecurityContext
  startupProbe:Probe stdin:bool stdinOnce:bool targetContainerName:string terminationMessagePath:string
  terminationMessagePolicy:string/v1.TerminationMessagePolicy tty:bool volumeDevices:[]VolumeDevice@devicePath
  volumeMounts:[]VolumeMount@mountPath workingDir:string
PodSecurityContext: appArmorProfile:AppArmorProfile fsGroup:int64 fsGroupChangePolicy:string/v1.PodFSGroupChangePolicy
  runAsGroup:int64 runAsNonRoot:bool runAsUser:int64 seLinuxChangePolicy:string/v1.PodSELinuxChangePolicy
  seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile supplementalGroups:[]int64
  supplementalGroupsPolicy:string/v1.SupplementalGroupsPolicy sysctls:[]Sysctl
  windowsOptions:WindowsSecurityContextOptions
Sysctl: name!:string value!:string
Affinity: nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAntiAffinity
NodeAffinity: preferredDuringSchedulingIgnoredDuringExecution:[]PreferredSchedulingTerm
  requiredDuringSchedulingIgnoredDuringExecution:NodeSelector
NodeSelector+atomic: nodeSelectorTerms!:[]NodeSelectorTerm
NodeSelectorTerm+atomic: matchExpressions:[]NodeSelectorRequirement matchFields:[]NodeSelectorRequirement
NodeSelectorRequirement: key!:string operator!:string/v1.NodeSelectorOperator values:[]string
PreferredSchedulingTerm: preference!:NodeSelectorTerm={} weight!:int32
PodAffinity: preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm
PodAffinityTerm: labelSelector:LabelSelector matchLabelKeys:[]string mismatchLabelKeys:[]string
  namespaceSelector:LabelSelector namespaces:[]string topologyKey!:string
WeightedPodAffinityTerm: podAffinityTerm!:PodAffinityTerm={} weight!:int32
PodAntiAffinity: preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm
Toleration: effect:string/v1.TaintEffect key:string operator:string/v1.TolerationOperator tolerationSeconds:int64
  value:string
HostAlias: hostnames:[]string ip!:string
PodDNSConfig: nameservers:[]string options:[]PodDNSConfigOption searches:[]string
PodDNSConfigOption: name:string value:string
PodReadinessGate: conditionType!:string/v1.PodConditionType
TopologySpreadConstraint: labelSelector:LabelSelector matchLabelKeys:[]string maxSkew!:int32 minDomains:int32
  nodeAffinityPolicy:string/v1.NodeInclusionPolicy nodeTaintsPolicy:string/v1.NodeInclusionPolicy topologyKey!:string
  whenUnsatisfiable!:string/v1.UnsatisfiableConstraintAction
PodOS: name!:string/v1.OSName
PodSchedulingGate: name!:string
PodResourceClaim: name!:string resourceClaimName:string resourceClaimTemplateName:string
PodStatus: conditions:[]PodCondition@type containerStatuses:[]ContainerStatus
  ephemeralContainerStatuses:[]ContainerStatus hostIP:string hostIPs:[]HostIP@ip+atomic
  initContainerStatuses:[]ContainerStatus message:string nominatedNodeName:string phase:string/v1.PodPhase
  podIP:string podIPs:[]PodIP@ip qosClass:string/v1.PodQOSClass reason:string resize:string/v1.PodResizeStatus
  resourceClaimStatuses:[]PodResourceClaimStatus@name+retain startTime:Time
PodCondition: lastProbeTime:Time lastTransitionTime:Time message:string reason:string
  status!:string/v1.ConditionStatus type!:string/v1.PodConditionType
HostIP: ip!:string
PodIP: ip!:string
ContainerStatus: allocatedResources:{}Quantity allocatedResourcesStatus:[]ResourceStatus@name containerID:string
  image!:string imageID!:string lastState:ContainerState={} name!:string ready!:bool resources:ResourceRequirements
  restartCount!:int32 started:bool state:ContainerState={} user:ContainerUser
  volumeMounts:[]VolumeMountStatus@mountPath
ContainerState: running:ContainerStateRunning terminated:ContainerStateTerminated waiting:ContainerStateWaiting
ContainerStateWaiting: message:string reason:string
ContainerStateRunning: startedAt:Time
ContainerStateTerminated: containerID:string exitCode!:int32 finishedAt:Time message:string reason:string signal:int32
  startedAt:Time
VolumeMountStatus: mountPath!:string name!:string readOnly:bool recursiveReadOnly:string/v1.RecursiveReadOnlyMode
ContainerUser: linux:LinuxContainerUser
LinuxContainerUser: gid!:int64 supplementalGroups:[]int64 uid!:int64
ResourceStatus: name!:string/v1.ResourceName resources:[]ResourceHealth#resourceID
ResourceHealth: health:string/v1.ResourceHealthStatus resourceID!:string/v1.ResourceID
PodResourceClaimStatus: name!:string resourceClaimName:string
Node: apiVersion:string kind:string metadata:ObjectMeta={} spec:NodeSpec={} status:NodeStatus={}
NodeSpec: configSource:NodeConfigSource externalID:string podCIDR:string podCIDRs:[]string@* providerID:string
  taints:[]Taint unschedulable:bool
Taint: effect!:string/v1.TaintEffect key!:string timeAdded:Time value:string
NodeConfigSource: configMap:ConfigMapNodeConfigSource
ConfigMapNodeConfigSource: kubeletConfigKey!:string name!:string namespace!:string resourceVersion:string
  uid:string/types.UID
NodeStatus: addresses:[]NodeAddress@type allocatable:{}Quantity capacity:{}Quantity conditions:[]NodeCondition@type
  config:NodeConfigStatus daemonEndpoints:NodeDaemonEndpoints={} declaredFeatures:[]string features:NodeFeatures images:[]ContainerImage
  nodeInfo:NodeSystemInfo={} phase:string/v1.NodePhase runtimeHandlers:[]NodeRuntimeHandler
  volumesAttached:[]AttachedVolume volumesInUse:[]string/v1.UniqueVolumeName
NodeCondition: lastHeartbeatTime:Time lastTransitionTime:Time message:string reason:string
  status!:string/v1.ConditionStatus type!:string/v1.NodeConditionType
NodeAddress: address!:string type!:string/v1.NodeAddressType
NodeDaemonEndpoints: kubeletEndpoint:DaemonEndpoint={}
DaemonEndpoint: Port!:int32
NodeSystemInfo: architecture!:string bootID!:string containerRuntimeVersion!:string kernelVersion!:string
  kubeProxyVersion!:string kubeletVersion!:string machineID!:string operatingSystem!:string osImage!:string
  systemUUID!:string
ContainerImage: names:[]string sizeBytes:int64
AttachedVolume: devicePath!:string name!:string/v1.UniqueVolumeName
NodeConfigStatus: active:NodeConfigSource assigned:NodeConfigSource error:string lastKnownGood:NodeConfigSource
NodeRuntimeHandler: features:NodeRuntimeHandlerFeatures name:string=
NodeRuntimeHandlerFeatures: recursiveReadOnlyMounts:bool userNamespaces:bool
NodeFeatures: supplementalGroupsPolicy:bool
Namespace: apiVersion:string kind:string metadata:ObjectMeta={} spec:NamespaceSpec={} status:NamespaceStatus={}
NamespaceSpec: finalizers:[]string/v1.FinalizerName
NamespaceStatus: conditions:[]NamespaceCondition@type phase:string/v1.NamespacePhase
NamespaceCondition: lastTransitionTime:Time message:string reason:string status!:string/v1.ConditionStatus
  type!:string/v1.NamespaceConditionType
Event: action:string apiVersion:string count:int32 eventTime:MicroTime firstTimestamp:Time
  involvedObject!:ObjectReference={} kind:string lastTimestamp:Time message:string metadata!:ObjectMeta={}
  reason:string related:ObjectReference reportingComponent:string= reportingInstance:string= series:EventSeries
  source:EventSource={} type:string
ObjectReference+atomic: apiVersion:string fieldPath:string kind:string name:string namespace:string
  resourceVersion:string uid:string/types.UID
EventSource: component:string host:string
EventSeries: count:int32 lastObservedTime:MicroTime
ServiceAccount: apiVersion:string automountServiceAccountToken:bool imagePullSecrets:[]LocalObjectReference
  kind:string metadata:ObjectMeta={} secrets:[]ObjectReference@name
Lease: apiVersion:string kind:string metadata:ObjectMeta={} spec:LeaseSpec={}
LeaseSpec: acquireTime:MicroTime holderIdentity:string leaseDurationSeconds:int32 leaseTransitions:int32
  preferredHolder:string renewTime:MicroTime strategy:string/v1.CoordinatedLeaseStrategy
Service: apiVersion:string kind:string metadata:ObjectMeta={}
CSINode: apiVersion:string kind:string metadata:ObjectMeta={} spec!:CSINodeSpec={}
CSINodeSpec: drivers!:[]CSINodeDriver@name
CSINodeDriver: allocatable:VolumeNodeResources name!:string nodeID!:string topologyKeys:[]string
VolumeNodeResources: count:int32
Binding: apiVersion:string kind:string metadata:ObjectMeta={} target!:ObjectReference={}
Eviction: apiVersion:string deleteOptions:DeleteOptions kind:string metadata:ObjectMeta={}
DeleteOptions: apiVersion:string dryRun:[]string gracePeriodSeconds:int64
  ignoreStoreReadErrorWithClusterBreakingPotential:bool kind:string orphanDependents:bool preconditions:Preconditions
  propagationPolicy:string/v1.DeletionPropagation
Preconditions: resourceVersion:string uid:string/types.UID
`;

/**
 * What is asked about callers, in the same form. OpenAPI says nothing of it, and what the answer holds is not here.
 *
 * @see kubernetes/api authentication/v1, authorization/v1
 */
export const reviewTypes = `
SelfSubjectReview: apiVersion:string kind:string metadata:ObjectMeta={}
TokenReview: apiVersion:string kind:string metadata:ObjectMeta={} spec!:TokenReviewSpec={}
TokenReviewSpec: audiences:[]string token:string
SelfSubjectAccessReview: apiVersion:string kind:string metadata:ObjectMeta={} spec!:SelfSubjectAccessReviewSpec={}
SelfSubjectAccessReviewSpec: nonResourceAttributes:NonResourceAttributes resourceAttributes:ResourceAttributes
SubjectAccessReview: apiVersion:string kind:string metadata:ObjectMeta={} spec!:SubjectAccessReviewSpec={}
LocalSubjectAccessReview: apiVersion:string kind:string metadata:ObjectMeta={} spec!:SubjectAccessReviewSpec={}
SubjectAccessReviewSpec: extra:{}ExtraValue groups:[]string nonResourceAttributes:NonResourceAttributes
  resourceAttributes:ResourceAttributes uid:string user:string
ResourceAttributes: fieldSelector:FieldSelectorAttributes group:string labelSelector:LabelSelectorAttributes name:string
  namespace:string resource:string subresource:string verb:string version:string
FieldSelectorAttributes: rawSelector:string requirements:[]FieldSelectorRequirement
FieldSelectorRequirement: key!:string operator!:string/v1.FieldSelectorOperator values:[]string
LabelSelectorAttributes: rawSelector:string requirements:[]LabelSelectorRequirement
NonResourceAttributes: path:string verb:string
SelfSubjectRulesReview: apiVersion:string kind:string metadata:ObjectMeta={} spec!:SelfSubjectRulesReviewSpec={}
SelfSubjectRulesReviewSpec: namespace:string
`;

/** The values of texts that have few, by Go's name. */
export const apiEnums = `
v1.AppArmorProfileType: Localhost RuntimeDefault Unconfined
v1.AzureDataDiskCachingMode: None ReadOnly ReadWrite
v1.AzureDataDiskKind: Dedicated Managed Shared
v1.DNSPolicy: ClusterFirst ClusterFirstWithHostNet Default None
v1.HostPathType: "" BlockDevice CharDevice Directory DirectoryOrCreate File FileOrCreate Socket
v1.MountPropagationMode: Bidirectional HostToContainer None
v1.NamespacePhase: Active Terminating
v1.NodeInclusionPolicy: Honor Ignore
v1.NodePhase: Pending Running Terminated
v1.NodeSelectorOperator: DoesNotExist Exists Gt In Lt NotIn
v1.PersistentVolumeAccessMode: ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod
v1.PersistentVolumeMode: Block Filesystem
v1.PodFSGroupChangePolicy: Always OnRootMismatch
v1.PodPhase: Failed Pending Running Succeeded Unknown
v1.PodQOSClass: BestEffort Burstable Guaranteed
v1.PreemptionPolicy: Never PreemptLowerPriority
v1.ProcMountType: Default Unmasked
v1.Protocol: SCTP TCP UDP
v1.PullPolicy: Always IfNotPresent Never
v1.RestartPolicy: Always Never OnFailure
v1.SeccompProfileType: Localhost RuntimeDefault Unconfined
v1.SupplementalGroupsPolicy: Merge Strict
v1.TaintEffect: NoExecute NoSchedule PreferNoSchedule
v1.TerminationMessagePolicy: FallbackToLogsOnError File
v1.TolerationOperator: Equal Exists
v1.URIScheme: HTTP HTTPS
v1.UnsatisfiableConstraintAction: DoNotSchedule ScheduleAnyway
`;
