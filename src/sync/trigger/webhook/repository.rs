//! Which repository a delivery is about. A hint: it decides where is looked, not what is found. Pure.

use serde_json::Value;

/// URLs of the repository, as the host writes them: all that its body has, in any of the hosts' shapes.
pub fn urls(body: &Value) -> Vec<String> {
    let names = ["clone_url", "ssh_url", "html_url", "git_url", "git_http_url", "git_ssh_url", "web_url"];
    let places = [&body["repository"], &body["project"]];
    let plain = places.into_iter().flat_map(|place| names.iter().map(|name| &place[*name]));
    let links = &body["repository"]["links"];
    // Bitbucket Cloud has one link a kind, Bitbucket Server lists of them.
    let listed = ["clone", "html", "self"].into_iter().flat_map(|kind| match &links[kind] {
        Value::Array(all) => all.iter().map(|link| &link["href"]).collect(),
        one => vec![&one["href"]],
    });
    plain.chain(listed).filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_host_names_the_repository_in_its_own_way() {
        let github = json!({"repository": {"clone_url": "https://h/o/r.git", "ssh_url": "git@h:o/r.git", "id": 7}});
        assert_eq!(urls(&github), ["https://h/o/r.git", "git@h:o/r.git"]);
        let gitlab = json!({"project": {"git_http_url": "https://h/o/r.git", "web_url": "https://h/o/r"}});
        assert_eq!(urls(&gitlab), ["https://h/o/r.git", "https://h/o/r"]);
        let cloud = json!({"repository": {"links": {"html": {"href": "https://bitbucket.org/o/r"}}}});
        assert_eq!(urls(&cloud), ["https://bitbucket.org/o/r"]);
        let server = json!({"repository": {"links": {"clone": [{"href": "ssh://git@h/o/r.git", "name": "ssh"}]}}});
        assert_eq!(urls(&server), ["ssh://git@h/o/r.git"]);
        for nonsense in [json!(null), json!([]), json!({"repository": {"clone_url": 7, "links": "x"}})] {
            assert!(urls(&nonsense).is_empty());
        }
    }
}
