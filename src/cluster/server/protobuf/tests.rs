//! Bodies as kubectl 1.33 sent them, and bodies that nobody should send.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

const DEPLOYMENT: &str = "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412a7010a1d0a02646412001a0022002a003200380042005a090a0361707\
    01202646412780801120b0a090a03617070120264641a5f0a1b0a0012001a0022002a003200380042005a090a0361707012026464124012220a056e67696e7812056e67696e\
    782a0042006a007200800100880100900100a201001a00320042004a0052005800600068008201008a01009a0100c2010022020a00280038001a0c0800100018002000280038\
    001a002200";

#[test]
fn bodies_of_kubectl_become_the_json_that_they_mean() {
    let cases = [
        (
            "6b3873000a0f0a02763112094e616d657370616365121a0a120a026e6e12001a0022002a0032003800420012001a020a001a002200",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nn"}}),
        ),
        (
            "6b3873000a0f0a0276311209436f6e6669674d6170121d0a130a03636d7812001a0022002a0032003800420012060a01611201621a002200",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cmx"}, "data": {"a": "b"}}),
        ),
        (
            DEPLOYMENT,
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "dd", "labels": {"app": "dd"}},
                "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "dd"}}, "template": {
                    "metadata": {"labels": {"app": "dd"}},
                    "spec": {"containers": [{"name": "nginx", "image": "nginx"}]}}}}),
        ),
        (
            "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a65637441636365737352657669\
             6577123f0a100a0012001a0022002a0032003800420012210a1f0a0764656661756c7412066372656174651a0022002a04706f6473\
             32003a001a08080012001a0020001a002200",
            json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"namespace": "default", "verb": "create", "resource": "pods"}},
                "status": {"allowed": false}}),
        ),
    ];
    for (hex, want) in cases {
        assert_eq!(decode(&bytes(hex)).unwrap(), want);
    }
}

#[test]
fn a_body_cut_short_anywhere_is_refused_or_read_and_never_panics() {
    let whole = bytes(DEPLOYMENT);
    for end in 0..whole.len() {
        let _ = decode(&whole[..end]);
    }
    assert!(matches!(decode(b"{}"), Err(DecodeError::Magic)));
    let endless = [b"k8s\0".as_slice(), &[0x80; 64]].concat();
    assert!(matches!(decode(&endless), Err(DecodeError::Wire(wire::WireError::Varint))));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(noise: Vec<u8>) {
        let _ = decode::members(&core::Pod, &noise);
    }
}
