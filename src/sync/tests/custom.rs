//! Definitions and their objects, from git.

use super::*;
use crate::object::custom::Kinds;
use crate::sync::lint::lint;
use crate::sync::render;

const DEFINITION: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.sync.example.com}
spec:
  group: sync.example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, maximum: 9}}}
";

fn widget(name: &str, size: u8) -> String {
    format!("apiVersion: sync.example.com/v1\nkind: Widget\nmetadata: {{name: {name}}}\nspec: {{size: {size}}}\n")
}

fn find(world: &World, name: &str) -> Option<Value> {
    let snapshot = world.registry.snapshot();
    let kind = snapshot.kinds().by_manifest("sync.example.com/v1", "Widget")?;
    world.find(kind, name)
}

#[tokio::test(start_paused = true)]
async fn a_definition_and_its_objects_come_in_one_commit_and_follow_git() {
    let world = World::new().await;
    let first = world.commit("Ship", &[("a.yaml", Some(&widget("a", 1))), ("crd.yaml", Some(DEFINITION))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    assert_eq!(find(&world, "a").unwrap()["spec"]["size"], 1, "{:?}", world.conditions());
    // The definition is there already, and is what the next commit's objects are read by.
    let second = world.commit("Grow", &[("a.yaml", Some(&widget("a", 2))), ("b.yaml", Some(&widget("b", 3)))]);
    settled(&syncer, second).await;
    assert_eq!(find(&world, "a").unwrap()["spec"]["size"], 2);
    assert_eq!(find(&world, "b").unwrap()["spec"]["size"], 3);
    let third = world.commit("Shrink", &[("b.yaml", None)]);
    settled(&syncer, third).await;
    assert_eq!(find(&world, "b"), None, "pruned");
    assert_eq!(world.application().status.health.status, "Healthy");
}

#[tokio::test(start_paused = true)]
async fn lint_knows_the_definitions_among_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("a.yaml", &widget("a", 12));
    put("b.yaml", "apiVersion: sync.example.com/v1\nkind: Widget\nmetadata: {name: b}\nspec: {sise: 1}\n");
    let alone = render::directory(folder.path(), "default").unwrap();
    assert_eq!(alone.errors.len(), 2, "{:?}", alone.errors);
    assert!(alone.errors[0].message.contains("no matches for kind \"Widget\""));
    put("crd.yaml", DEFINITION);
    let whole = render::directory(folder.path(), "default").unwrap();
    let errors = lint(&whole, &[]).await.unwrap().errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].message.contains("spec.size"), "{errors:?}");
    assert!(errors[1].message.contains("unknown field \"spec.sise\""), "{errors:?}");
}

#[test]
fn the_cluster_knows_the_kinds_that_the_files_do_not() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), widget("a", 1)).unwrap();
    let mut rendered = render::directory(folder.path(), "default").unwrap();
    assert_eq!((rendered.documents.len(), rendered.errors.len()), (0, 1));
    let parsed = crate::sync::render::read_manifests(DEFINITION.as_bytes());
    let mut kinds = Kinds::default();
    kinds.declare(&parsed.manifests[0].object()).unwrap();
    rendered.resolve(&kinds);
    assert_eq!((rendered.documents.len(), rendered.errors.len()), (1, 0));
    assert_eq!(rendered.documents[0].key.to_string(), "Widget default/a");
}
