//! The messages of storage. Tags are those of Kubernetes's published message definitions.

use super::core::*;
use super::meta::*;
use super::table::messages;

messages! {
    GlusterfsPersistentVolumeSource { 1 endpoints text, 2 path text, 3 readOnly flag, 4 endpointsNamespace text }
    SecretReference { 1 name text, 2 namespace text }
    RBDPersistentVolumeSource {
        1 monitors [text], 2 image text, 3 fsType text, 4 pool text, 5 user text, 6 keyring text,
        7 secretRef SecretReference, 8 readOnly flag
    }
    ISCSIPersistentVolumeSource {
        1 targetPortal text, 2 iqn text, 3 lun number, 4 iscsiInterface text, 5 fsType text, 6 readOnly flag,
        7 portals [text], 8 chapAuthDiscovery flag, 11 chapAuthSession flag, 10 secretRef SecretReference,
        12 initiatorName text
    }
    CinderPersistentVolumeSource { 1 volumeID text, 2 fsType text, 3 readOnly flag, 4 secretRef SecretReference }
    CephFSPersistentVolumeSource {
        1 monitors [text], 2 path text, 3 user text, 4 secretFile text, 5 secretRef SecretReference, 6 readOnly flag
    }
    FlexPersistentVolumeSource {
        1 driver text, 2 fsType text, 3 secretRef SecretReference, 4 readOnly flag, 5 options texts
    }
    AzureFilePersistentVolumeSource { 1 secretName text, 2 shareName text, 3 readOnly flag, 4 secretNamespace text }
    ScaleIOPersistentVolumeSource {
        1 gateway text, 2 system text, 3 secretRef SecretReference, 4 sslEnabled flag, 5 protectionDomain text,
        6 storagePool text, 7 storageMode text, 8 volumeName text, 9 fsType text, 10 readOnly flag
    }
    LocalVolumeSource { 1 path text, 2 fsType text }
    StorageOSPersistentVolumeSource {
        1 volumeName text, 2 volumeNamespace text, 3 fsType text, 4 readOnly flag, 5 secretRef ObjectReference
    }
    CSIPersistentVolumeSource {
        1 driver text, 2 volumeHandle text, 3 readOnly flag, 4 fsType text, 5 volumeAttributes texts,
        6 controllerPublishSecretRef SecretReference, 7 nodeStageSecretRef SecretReference,
        8 nodePublishSecretRef SecretReference, 9 controllerExpandSecretRef SecretReference,
        10 nodeExpandSecretRef SecretReference
    }
    PersistentVolumeSource {
        1 gcePersistentDisk GcePersistentDiskVolumeSource, 2 awsElasticBlockStore AwsElasticBlockStoreVolumeSource,
        3 hostPath HostPathVolumeSource, 4 glusterfs GlusterfsPersistentVolumeSource, 5 nfs NfsVolumeSource,
        6 rbd RBDPersistentVolumeSource, 7 iscsi ISCSIPersistentVolumeSource, 8 cinder CinderPersistentVolumeSource,
        9 cephfs CephFSPersistentVolumeSource, 10 fc FcVolumeSource, 11 flocker FlockerVolumeSource,
        12 flexVolume FlexPersistentVolumeSource, 13 azureFile AzureFilePersistentVolumeSource,
        14 vsphereVolume VsphereVirtualDiskVolumeSource, 15 quobyte QuobyteVolumeSource,
        16 azureDisk AzureDiskVolumeSource, 17 photonPersistentDisk PhotonPersistentDiskVolumeSource,
        18 portworxVolume PortworxVolumeSource, 19 scaleIO ScaleIOPersistentVolumeSource,
        20 local LocalVolumeSource, 21 storageos StorageOSPersistentVolumeSource, 22 csi CSIPersistentVolumeSource
    }
    VolumeNodeAffinity { 1 required NodeSelector }
    PersistentVolumeSpec {
        1 capacity quantities, 2 inline (inline PersistentVolumeSource), 3 accessModes [text],
        4 claimRef ObjectReference, 5 persistentVolumeReclaimPolicy text, 6 storageClassName text,
        7 mountOptions [text], 8 volumeMode text, 9 nodeAffinity VolumeNodeAffinity,
        10 volumeAttributesClassName text
    }
    PersistentVolumeStatus { 1 phase text, 2 message text, 3 reason text, 4 lastPhaseTransitionTime time }
    PersistentVolume {
        1 metadata (plain ObjectMeta), 2 spec (plain PersistentVolumeSpec), 3 status (plain PersistentVolumeStatus)
    }
    PersistentVolumeClaimCondition {
        1 type text, 2 status text, 3 lastProbeTime time, 4 lastTransitionTime time, 5 reason text, 6 message text
    }
    ModifyVolumeStatus { 1 targetVolumeAttributesClassName text, 2 status text }
    PersistentVolumeClaimStatus {
        1 phase text, 2 accessModes [text], 3 capacity quantities, 4 conditions [PersistentVolumeClaimCondition],
        5 allocatedResources quantities, 7 allocatedResourceStatuses texts, 8 currentVolumeAttributesClassName text,
        9 modifyVolumeStatus ModifyVolumeStatus
    }
    PersistentVolumeClaim {
        1 metadata (plain ObjectMeta), 2 spec (plain PersistentVolumeClaimSpec),
        3 status (plain PersistentVolumeClaimStatus)
    }
    TopologySelectorLabelRequirement { 1 key text, 2 values [text] }
    TopologySelectorTerm { 1 matchLabelExpressions [TopologySelectorLabelRequirement] }
    StorageClass {
        1 metadata (plain ObjectMeta), 2 provisioner text, 3 parameters texts, 4 reclaimPolicy text,
        5 mountOptions [text], 6 allowVolumeExpansion flag, 7 volumeBindingMode text,
        8 allowedTopologies [TopologySelectorTerm]
    }
}
