//! The messages of the core group. Tags are those of Kubernetes's published message definitions.

use super::meta::*;
use super::table::messages;

messages! {
    NamespaceSpec { 1 finalizers [text] }
    NamespaceCondition { 1 type text, 2 status text, 4 lastTransitionTime time, 5 reason text, 6 message text }
    NamespaceStatus { 1 phase text, 2 conditions [NamespaceCondition] }
    Namespace { 1 metadata (plain ObjectMeta), 2 spec (plain NamespaceSpec), 3 status (plain NamespaceStatus) }
    Taint { 1 key text, 2 value text, 3 effect text, 4 timeAdded time }
    ConfigMapNodeConfigSource {
        1 namespace text, 2 name text, 3 uid text, 4 resourceVersion text, 5 kubeletConfigKey text
    }
    NodeConfigSource { 2 configMap ConfigMapNodeConfigSource }
    NodeSpec {
        1 podCIDR text, 7 podCIDRs [text], 3 providerID text, 4 unschedulable flag, 5 taints [Taint],
        6 configSource NodeConfigSource, 2 externalID text
    }
    NodeCondition {
        1 type text, 2 status text, 3 lastHeartbeatTime time, 4 lastTransitionTime time, 5 reason text,
        6 message text
    }
    NodeAddress { 1 type text, 2 address text }
    DaemonEndpoint { 1 Port number }
    NodeDaemonEndpoints { 1 kubeletEndpoint (plain DaemonEndpoint) }
    NodeSwapStatus { 1 capacity (keep number) }
    NodeSystemInfo {
        1 machineID text, 2 systemUUID text, 3 bootID text, 4 kernelVersion text, 5 osImage text,
        6 containerRuntimeVersion text, 7 kubeletVersion text, 8 kubeProxyVersion text,
        9 operatingSystem text, 10 architecture text, 11 swap NodeSwapStatus
    }
    ContainerImage { 1 names [text], 2 sizeBytes number }
    AttachedVolume { 1 name text, 2 devicePath text }
    NodeConfigStatus {
        1 assigned NodeConfigSource, 2 active NodeConfigSource, 3 lastKnownGood NodeConfigSource,
        4 error text
    }
    NodeRuntimeHandlerFeatures { 1 recursiveReadOnlyMounts (keep flag), 2 userNamespaces (keep flag) }
    NodeRuntimeHandler { 1 name text, 2 features NodeRuntimeHandlerFeatures }
    NodeFeatures { 1 supplementalGroupsPolicy flag }
    NodeStatus {
        1 capacity quantities, 2 allocatable quantities, 3 phase text, 4 conditions [NodeCondition],
        5 addresses [NodeAddress], 6 daemonEndpoints (plain NodeDaemonEndpoints),
        7 nodeInfo (plain NodeSystemInfo), 8 images [ContainerImage], 9 volumesInUse [text],
        10 volumesAttached [AttachedVolume], 11 config NodeConfigStatus,
        12 runtimeHandlers [NodeRuntimeHandler], 13 features NodeFeatures
    }
    Node { 1 metadata (plain ObjectMeta), 2 spec (plain NodeSpec), 3 status (plain NodeStatus) }
    HostPathVolumeSource { 1 path text, 2 type text }
    EmptyDirVolumeSource { 1 medium text, 2 sizeLimit quantity }
    GcePersistentDiskVolumeSource { 1 pdName text, 2 fsType text, 3 partition number, 4 readOnly flag }
    AwsElasticBlockStoreVolumeSource { 1 volumeID text, 2 fsType text, 3 partition number, 4 readOnly flag }
    GitRepoVolumeSource { 1 repository text, 2 revision text, 3 directory text }
    KeyToPath { 1 key text, 2 path text, 3 mode (keep number) }
    SecretVolumeSource { 1 secretName text, 2 items [KeyToPath], 3 defaultMode (keep number), 4 optional (keep flag) }
    NfsVolumeSource { 1 server text, 2 path text, 3 readOnly flag }
    LocalObjectReference { 1 name text }
    IscsiVolumeSource {
        1 targetPortal text, 2 iqn text, 3 lun (keep number), 4 iscsiInterface text, 5 fsType text,
        6 readOnly flag, 7 portals [text], 8 chapAuthDiscovery flag, 11 chapAuthSession flag,
        10 secretRef LocalObjectReference, 12 initiatorName text
    }
    GlusterfsVolumeSource { 1 endpoints text, 2 path text, 3 readOnly flag }
    PersistentVolumeClaimVolumeSource { 1 claimName text, 2 readOnly flag }
    RbdVolumeSource {
        1 monitors [text], 2 image text, 3 fsType text, 4 pool text, 5 user text, 6 keyring text,
        7 secretRef LocalObjectReference, 8 readOnly flag
    }
    FlexVolumeSource {
        1 driver text, 2 fsType text, 3 secretRef LocalObjectReference, 4 readOnly flag, 5 options texts
    }
    CinderVolumeSource { 1 volumeID text, 2 fsType text, 3 readOnly flag, 4 secretRef LocalObjectReference }
    CephFsVolumeSource {
        1 monitors [text], 2 path text, 3 user text, 4 secretFile text, 5 secretRef LocalObjectReference,
        6 readOnly flag
    }
    FlockerVolumeSource { 1 datasetName text, 2 datasetUUID text }
    ObjectFieldSelector { 1 apiVersion text, 2 fieldPath text }
    ResourceFieldSelector { 1 containerName text, 2 resource text, 3 divisor quantity }
    DownwardAPIVolumeFile {
        1 path text, 2 fieldRef ObjectFieldSelector, 3 resourceFieldRef ResourceFieldSelector,
        4 mode (keep number)
    }
    DownwardAPIVolumeSource { 1 items [DownwardAPIVolumeFile], 2 defaultMode (keep number) }
    FcVolumeSource { 1 targetWWNs [text], 2 lun (keep number), 3 fsType text, 4 readOnly flag, 5 wwids [text] }
    AzureFileVolumeSource { 1 secretName text, 2 shareName text, 3 readOnly flag }
    ConfigMapVolumeSource {
        1 inline (inline LocalObjectReference), 2 items [KeyToPath], 3 defaultMode (keep number),
        4 optional (keep flag)
    }
    VsphereVirtualDiskVolumeSource {
        1 volumePath text, 2 fsType text, 3 storagePolicyName text, 4 storagePolicyID text
    }
    QuobyteVolumeSource { 1 registry text, 2 volume text, 3 readOnly flag, 4 user text, 5 group text, 6 tenant text }
    AzureDiskVolumeSource {
        1 diskName text, 2 diskURI text, 3 cachingMode text, 4 fsType text, 5 readOnly flag, 6 kind text
    }
    PhotonPersistentDiskVolumeSource { 1 pdID text, 2 fsType text }
    SecretProjection { 1 inline (inline LocalObjectReference), 2 items [KeyToPath], 4 optional (keep flag) }
    DownwardAPIProjection { 1 items [DownwardAPIVolumeFile] }
    ConfigMapProjection { 1 inline (inline LocalObjectReference), 2 items [KeyToPath], 4 optional (keep flag) }
    ServiceAccountTokenProjection { 1 audience text, 2 expirationSeconds (keep number), 3 path text }
    ClusterTrustBundleProjection {
        1 name text, 2 signerName text, 3 labelSelector LabelSelector, 5 optional (keep flag), 4 path text
    }
    VolumeProjection {
        1 secret SecretProjection, 2 downwardAPI DownwardAPIProjection, 3 configMap ConfigMapProjection,
        4 serviceAccountToken ServiceAccountTokenProjection,
        5 clusterTrustBundle ClusterTrustBundleProjection
    }
    ProjectedVolumeSource { 1 sources [VolumeProjection], 2 defaultMode (keep number) }
    PortworxVolumeSource { 1 volumeID text, 2 fsType text, 3 readOnly flag }
    ScaleIoVolumeSource {
        1 gateway text, 2 system text, 3 secretRef LocalObjectReference, 4 sslEnabled flag,
        5 protectionDomain text, 6 storagePool text, 7 storageMode text, 8 volumeName text, 9 fsType text,
        10 readOnly flag
    }
    StorageOsVolumeSource {
        1 volumeName text, 2 volumeNamespace text, 3 fsType text, 4 readOnly flag,
        5 secretRef LocalObjectReference
    }
    CSIVolumeSource {
        1 driver text, 2 readOnly flag, 3 fsType text, 4 volumeAttributes texts,
        5 nodePublishSecretRef LocalObjectReference
    }
    VolumeResourceRequirements { 1 limits quantities, 2 requests quantities }
    TypedLocalObjectReference { 1 apiGroup text, 2 kind text, 3 name text }
    TypedObjectReference { 1 apiGroup text, 2 kind text, 3 name text, 4 namespace text }
    PersistentVolumeClaimSpec {
        1 accessModes [text], 4 selector LabelSelector, 2 resources (plain VolumeResourceRequirements),
        3 volumeName text, 5 storageClassName (keep text), 6 volumeMode text,
        7 dataSource TypedLocalObjectReference, 8 dataSourceRef TypedObjectReference,
        9 volumeAttributesClassName text
    }
    PersistentVolumeClaimTemplate { 1 metadata (plain ObjectMeta), 2 spec (plain PersistentVolumeClaimSpec) }
    EphemeralVolumeSource { 1 volumeClaimTemplate PersistentVolumeClaimTemplate }
    ImageVolumeSource { 1 reference text, 2 pullPolicy text }
    VolumeSource {
        1 hostPath HostPathVolumeSource, 2 emptyDir EmptyDirVolumeSource,
        3 gcePersistentDisk GcePersistentDiskVolumeSource,
        4 awsElasticBlockStore AwsElasticBlockStoreVolumeSource, 5 gitRepo GitRepoVolumeSource,
        6 secret SecretVolumeSource, 7 nfs NfsVolumeSource, 8 iscsi IscsiVolumeSource,
        9 glusterfs GlusterfsVolumeSource, 10 persistentVolumeClaim PersistentVolumeClaimVolumeSource,
        11 rbd RbdVolumeSource, 12 flexVolume FlexVolumeSource, 13 cinder CinderVolumeSource,
        14 cephfs CephFsVolumeSource, 15 flocker FlockerVolumeSource,
        16 downwardAPI DownwardAPIVolumeSource, 17 fc FcVolumeSource, 18 azureFile AzureFileVolumeSource,
        19 configMap ConfigMapVolumeSource, 20 vsphereVolume VsphereVirtualDiskVolumeSource,
        21 quobyte QuobyteVolumeSource, 22 azureDisk AzureDiskVolumeSource,
        23 photonPersistentDisk PhotonPersistentDiskVolumeSource, 26 projected ProjectedVolumeSource,
        24 portworxVolume PortworxVolumeSource, 25 scaleIO ScaleIoVolumeSource,
        27 storageos StorageOsVolumeSource, 28 csi CSIVolumeSource, 29 ephemeral EphemeralVolumeSource,
        30 image ImageVolumeSource
    }
    Volume { 1 name text, 2 inline (inline VolumeSource) }
    ContainerPort { 1 name text, 2 hostPort number, 3 containerPort number, 4 protocol text, 5 hostIP text }
    ConfigMapEnvSource { 1 inline (inline LocalObjectReference), 2 optional (keep flag) }
    SecretEnvSource { 1 inline (inline LocalObjectReference), 2 optional (keep flag) }
    EnvFromSource { 1 prefix text, 2 configMapRef ConfigMapEnvSource, 3 secretRef SecretEnvSource }
    ConfigMapKeySelector { 1 inline (inline LocalObjectReference), 2 key text, 3 optional (keep flag) }
    SecretKeySelector { 1 inline (inline LocalObjectReference), 2 key text, 3 optional (keep flag) }
    EnvVarSource {
        1 fieldRef ObjectFieldSelector, 2 resourceFieldRef ResourceFieldSelector,
        3 configMapKeyRef ConfigMapKeySelector, 4 secretKeyRef SecretKeySelector
    }
    EnvVar { 1 name text, 2 value text, 3 valueFrom EnvVarSource }
    ResourceClaim { 1 name text, 2 request text }
    ResourceRequirements { 1 limits quantities, 2 requests quantities, 3 claims [ResourceClaim] }
    ContainerResizePolicy { 1 resourceName text, 2 restartPolicy text }
    VolumeMount {
        1 name text, 2 readOnly flag, 7 recursiveReadOnly text, 3 mountPath text, 4 subPath text,
        5 mountPropagation text, 6 subPathExpr text
    }
    VolumeDevice { 1 name text, 2 devicePath text }
    ExecAction { 1 command [text] }
    HttpHeader { 1 name text, 2 value text }
    HttpGetAction { 1 path text, 2 port int_or_string, 3 host text, 4 scheme text, 5 httpHeaders [HttpHeader] }
    TcpSocketAction { 1 port int_or_string, 2 host text }
    GrpcAction { 1 port (keep number), 2 service text }
    ProbeHandler { 1 exec ExecAction, 2 httpGet HttpGetAction, 3 tcpSocket TcpSocketAction, 4 grpc GrpcAction }
    Probe {
        1 inline (inline ProbeHandler), 2 initialDelaySeconds number, 3 timeoutSeconds number,
        4 periodSeconds number, 5 successThreshold number, 6 failureThreshold number,
        7 terminationGracePeriodSeconds (keep number)
    }
    SleepAction { 1 seconds (keep number) }
    LifecycleHandler { 1 exec ExecAction, 2 httpGet HttpGetAction, 3 tcpSocket TcpSocketAction, 4 sleep SleepAction }
    Lifecycle { 1 postStart LifecycleHandler, 2 preStop LifecycleHandler, 3 stopSignal text }
    Capabilities { 1 add [text], 2 drop [text] }
    SeLinuxOptions { 1 user text, 2 role text, 3 type text, 4 level text }
    WindowsSecurityContextOptions {
        1 gmsaCredentialSpecName text, 2 gmsaCredentialSpec text, 3 runAsUserName text,
        4 hostProcess (keep flag)
    }
    SeccompProfile { 1 type text, 2 localhostProfile text }
    AppArmorProfile { 1 type text, 2 localhostProfile text }
    SecurityContext {
        1 capabilities Capabilities, 2 privileged (keep flag), 3 seLinuxOptions SeLinuxOptions,
        10 windowsOptions WindowsSecurityContextOptions, 4 runAsUser (keep number),
        8 runAsGroup (keep number), 5 runAsNonRoot (keep flag), 6 readOnlyRootFilesystem (keep flag),
        7 allowPrivilegeEscalation (keep flag), 9 procMount text, 11 seccompProfile SeccompProfile,
        12 appArmorProfile AppArmorProfile
    }
    Container {
        1 name text, 2 image text, 3 command [text], 4 args [text], 5 workingDir text,
        6 ports [ContainerPort], 19 envFrom [EnvFromSource], 7 env [EnvVar],
        8 resources (plain ResourceRequirements), 23 resizePolicy [ContainerResizePolicy],
        24 restartPolicy text, 9 volumeMounts [VolumeMount], 21 volumeDevices [VolumeDevice],
        10 livenessProbe Probe, 11 readinessProbe Probe, 22 startupProbe Probe, 12 lifecycle Lifecycle,
        13 terminationMessagePath text, 20 terminationMessagePolicy text, 14 imagePullPolicy text,
        15 securityContext SecurityContext, 16 stdin flag, 17 stdinOnce flag, 18 tty flag
    }
    EphemeralContainerCommon {
        1 name text, 2 image text, 3 command [text], 4 args [text], 5 workingDir text,
        6 ports [ContainerPort], 19 envFrom [EnvFromSource], 7 env [EnvVar],
        8 resources (plain ResourceRequirements), 23 resizePolicy [ContainerResizePolicy],
        24 restartPolicy text, 9 volumeMounts [VolumeMount], 21 volumeDevices [VolumeDevice],
        10 livenessProbe Probe, 11 readinessProbe Probe, 22 startupProbe Probe, 12 lifecycle Lifecycle,
        13 terminationMessagePath text, 20 terminationMessagePolicy text, 14 imagePullPolicy text,
        15 securityContext SecurityContext, 16 stdin flag, 17 stdinOnce flag, 18 tty flag
    }
    EphemeralContainer { 1 inline (inline EphemeralContainerCommon), 2 targetContainerName text }
    Sysctl { 1 name text, 2 value text }
    PodSecurityContext {
        1 seLinuxOptions SeLinuxOptions, 8 windowsOptions WindowsSecurityContextOptions,
        2 runAsUser (keep number), 6 runAsGroup (keep number), 3 runAsNonRoot (keep flag),
        4 supplementalGroups [number], 12 supplementalGroupsPolicy text, 5 fsGroup (keep number),
        7 sysctls [Sysctl], 9 fsGroupChangePolicy text, 10 seccompProfile SeccompProfile,
        11 appArmorProfile AppArmorProfile, 13 seLinuxChangePolicy text
    }
    NodeSelectorRequirement { 1 key text, 2 operator text, 3 values [text] }
    NodeSelectorTerm { 1 matchExpressions [NodeSelectorRequirement], 2 matchFields [NodeSelectorRequirement] }
    NodeSelector { 1 nodeSelectorTerms [NodeSelectorTerm] }
    PreferredSchedulingTerm { 1 weight number, 2 preference NodeSelectorTerm }
    NodeAffinity {
        1 requiredDuringSchedulingIgnoredDuringExecution NodeSelector,
        2 preferredDuringSchedulingIgnoredDuringExecution [PreferredSchedulingTerm]
    }
    PodAffinityTerm {
        1 labelSelector LabelSelector, 2 namespaces [text], 3 topologyKey text,
        4 namespaceSelector LabelSelector, 5 matchLabelKeys [text], 6 mismatchLabelKeys [text]
    }
    WeightedPodAffinityTerm { 1 weight number, 2 podAffinityTerm PodAffinityTerm }
    PodAffinity {
        1 requiredDuringSchedulingIgnoredDuringExecution [PodAffinityTerm],
        2 preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm]
    }
    PodAntiAffinity {
        1 requiredDuringSchedulingIgnoredDuringExecution [PodAffinityTerm],
        2 preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm]
    }
    Affinity { 1 nodeAffinity NodeAffinity, 2 podAffinity PodAffinity, 3 podAntiAffinity PodAntiAffinity }
    Toleration { 1 key text, 2 operator text, 3 value text, 4 effect text, 5 tolerationSeconds (keep number) }
    HostAlias { 1 ip text, 2 hostnames [text] }
    PodDnsConfigOption { 1 name text, 2 value text }
    PodDnsConfig { 1 nameservers [text], 2 searches [text], 3 options [PodDnsConfigOption] }
    PodReadinessGate { 1 conditionType text }
    TopologySpreadConstraint {
        1 maxSkew number, 2 topologyKey text, 3 whenUnsatisfiable text, 4 labelSelector LabelSelector,
        5 minDomains (keep number), 6 nodeAffinityPolicy text, 7 nodeTaintsPolicy text,
        8 matchLabelKeys [text]
    }
    PodOs { 1 name text }
    PodSchedulingGate { 1 name text }
    PodResourceClaim { 1 name text, 3 resourceClaimName text, 4 resourceClaimTemplateName text }
    PodSpec {
        1 volumes [Volume], 20 initContainers [Container], 2 containers [Container],
        34 ephemeralContainers [EphemeralContainer], 3 restartPolicy text,
        4 terminationGracePeriodSeconds (keep number), 5 activeDeadlineSeconds (keep number),
        6 dnsPolicy text, 7 nodeSelector texts, 8 serviceAccountName text, 9 serviceAccount text,
        21 automountServiceAccountToken (keep flag), 10 nodeName text, 11 hostNetwork flag, 12 hostPID flag,
        13 hostIPC flag, 27 shareProcessNamespace (keep flag), 14 securityContext PodSecurityContext,
        15 imagePullSecrets [LocalObjectReference], 16 hostname text, 17 subdomain text,
        18 affinity Affinity, 19 schedulerName text, 22 tolerations [Toleration],
        23 hostAliases [HostAlias], 24 priorityClassName text, 25 priority (keep number),
        26 dnsConfig PodDnsConfig, 28 readinessGates [PodReadinessGate], 29 runtimeClassName text,
        30 enableServiceLinks (keep flag), 31 preemptionPolicy text, 32 overhead quantities,
        33 topologySpreadConstraints [TopologySpreadConstraint], 35 setHostnameAsFQDN (keep flag),
        36 os PodOs, 37 hostUsers (keep flag), 38 schedulingGates [PodSchedulingGate],
        39 resourceClaims [PodResourceClaim], 40 resources (plain ResourceRequirements)
    }
    PodCondition {
        1 type text, 7 observedGeneration number, 2 status text, 3 lastProbeTime time,
        4 lastTransitionTime time, 5 reason text, 6 message text
    }
    HostIp { 1 ip text }
    PodIp { 1 ip text }
    ContainerStateWaiting { 1 reason text, 2 message text }
    ContainerStateRunning { 1 startedAt time }
    ContainerStateTerminated {
        1 exitCode (keep number), 2 signal number, 3 reason text, 4 message text, 5 startedAt time,
        6 finishedAt time, 7 containerID text
    }
    ContainerState {
        1 waiting ContainerStateWaiting, 2 running ContainerStateRunning,
        3 terminated ContainerStateTerminated
    }
    VolumeMountStatus { 1 name text, 2 mountPath text, 3 readOnly flag, 4 recursiveReadOnly text }
    LinuxContainerUser { 1 uid number, 2 gid number, 3 supplementalGroups [number] }
    ContainerUser { 1 linux LinuxContainerUser }
    ResourceHealth { 1 resourceID text, 2 health text }
    ResourceStatus { 1 name text, 2 resources [ResourceHealth] }
    ContainerStatus {
        1 name text, 2 state (plain ContainerState), 3 lastState (plain ContainerState),
        4 ready (keep flag), 5 restartCount (keep number), 6 image text, 7 imageID text, 8 containerID text,
        9 started (keep flag), 10 allocatedResources quantities, 11 resources (plain ResourceRequirements),
        12 volumeMounts [VolumeMountStatus], 13 user ContainerUser,
        14 allocatedResourcesStatus [ResourceStatus], 15 stopSignal text
    }
    PodResourceClaimStatus { 1 name text, 2 resourceClaimName text }
    PodStatus {
        17 observedGeneration number, 1 phase text, 2 conditions [PodCondition], 3 message text,
        4 reason text, 11 nominatedNodeName text, 5 hostIP text, 16 hostIPs [HostIp], 6 podIP text,
        12 podIPs [PodIp], 7 startTime time, 10 initContainerStatuses [ContainerStatus],
        8 containerStatuses [ContainerStatus], 9 qosClass text,
        13 ephemeralContainerStatuses [ContainerStatus], 14 resize text,
        15 resourceClaimStatuses [PodResourceClaimStatus]
    }
    Pod { 1 metadata (plain ObjectMeta), 2 spec (plain PodSpec), 3 status (plain PodStatus) }
    ServicePort {
        1 name text, 2 protocol text, 6 appProtocol text, 3 port (keep number), 4 targetPort int_or_string,
        5 nodePort number
    }
    ClientIpConfig { 1 timeoutSeconds (keep number) }
    SessionAffinityConfig { 1 clientIP ClientIpConfig }
    ServiceSpec {
        1 ports [ServicePort], 2 selector texts, 3 clusterIP text, 18 clusterIPs [text], 4 type text,
        5 externalIPs [text], 7 sessionAffinity text, 8 loadBalancerIP text,
        9 loadBalancerSourceRanges [text], 10 externalName text, 11 externalTrafficPolicy text,
        12 healthCheckNodePort number, 13 publishNotReadyAddresses flag,
        14 sessionAffinityConfig SessionAffinityConfig, 19 ipFamilies [text], 17 ipFamilyPolicy text,
        20 allocateLoadBalancerNodePorts (keep flag), 21 loadBalancerClass text,
        22 internalTrafficPolicy text, 23 trafficDistribution text
    }
    PortStatus { 1 port (keep number), 2 protocol text, 3 error text }
    LoadBalancerIngress { 1 ip text, 2 hostname text, 3 ipMode text, 4 ports [PortStatus] }
    LoadBalancerStatus { 1 ingress [LoadBalancerIngress] }
    ServiceStatus { 1 loadBalancer (plain LoadBalancerStatus), 2 conditions [Condition] }
    Service { 1 metadata (plain ObjectMeta), 2 spec (plain ServiceSpec), 3 status (plain ServiceStatus) }
    ObjectReference {
        1 kind text, 2 namespace text, 3 name text, 4 uid text, 5 apiVersion text, 6 resourceVersion text,
        7 fieldPath text
    }
    EndpointAddress { 1 ip text, 3 hostname text, 4 nodeName text, 2 targetRef ObjectReference }
    EndpointPort { 1 name text, 2 port (keep number), 3 protocol text, 4 appProtocol text }
    EndpointSubset { 1 addresses [EndpointAddress], 2 notReadyAddresses [EndpointAddress], 3 ports [EndpointPort] }
    Endpoints { 1 metadata (plain ObjectMeta), 2 subsets [EndpointSubset] }
    ConfigMap { 1 metadata (plain ObjectMeta), 4 immutable (keep flag), 2 data texts, 3 binaryData blobs }
    Secret { 1 metadata (plain ObjectMeta), 5 immutable (keep flag), 2 data blobs, 4 stringData texts, 3 type text }
    ServiceAccount {
        1 metadata (plain ObjectMeta), 2 secrets [ObjectReference],
        3 imagePullSecrets [LocalObjectReference], 4 automountServiceAccountToken (keep flag)
    }
    EventSource { 1 component text, 2 host text }
    EventSeries { 1 count number, 2 lastObservedTime micro_time }
    Event {
        1 metadata (plain ObjectMeta), 2 involvedObject (plain ObjectReference), 3 reason text,
        4 message text, 5 source (plain EventSource), 6 firstTimestamp time, 7 lastTimestamp time,
        8 count number, 9 type text, 10 eventTime micro_time, 11 series EventSeries, 12 action text,
        13 related ObjectReference, 14 reportingComponent text, 15 reportingInstance text
    }
    Binding { 1 metadata (plain ObjectMeta), 2 target ObjectReference }
    PodTemplateSpec { 1 metadata (plain ObjectMeta), 2 spec (plain PodSpec) }
}
