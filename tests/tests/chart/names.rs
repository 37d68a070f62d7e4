//! Names of releases and namespaces, whatever they look like.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    cases::WORKING,
    helm::{Helm, object},
};

fn names(objects: &[Value]) -> BTreeSet<String> {
    objects.iter().map(|object| format!("{} {}", object["kind"], object["metadata"]["name"])).collect()
}

#[test]
fn long_names_of_two_releases_stay_two() {
    let Some(helm) = Helm::find() else { return };
    let rendered = |release: &str| helm.render_as(release, "messages", &[]).expect("it is rendered");
    let (a, b) = ("a-very-long-name-of-a-team-messages-log-a", "a-very-long-name-of-a-team-messages-log-b");
    assert!(names(&rendered(a)).is_disjoint(&names(&rendered(b))));
    for object in rendered(a) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        assert!(name.starts_with("a-very-long-name-of-a-team-messag-"), "{name}");
        // A StatefulSet's pods get a number, and their revisions a hash, as a label.
        assert!(name.len() <= 52, "{name}");
    }
    // What fits is not touched: a name that changes loses its volumes.
    object(
        &rendered("a-name-of-just-31-characters-xx"),
        "StatefulSet",
        "a-name-of-just-31-characters-xx-holdfast-broker",
    );
}

#[test]
fn a_name_that_kubernetes_would_refuse_is_refused_with_the_rule() {
    let Some(helm) = Helm::find() else { return };
    for release in ["9lives", "a.b"] {
        let error = helm.render_as(release, "messages", &[]).expect_err(release);
        assert!(error.contains("begins with a letter") && error.contains("fullnameOverride"), "{release}: {error}");
        let named = helm.render_as(release, "messages", &["--set", "fullnameOverride=log"]).expect("it has a name");
        object(&named, "Service", "log-broker");
    }
}

#[test]
fn names_that_look_like_something_else_stay_texts() {
    let Some(helm) = Helm::find() else { return };
    let values =
        ["--set-string", "fullnameOverride=true,nameOverride=no,serviceAccountName=1,broker.priorityClassName=2"];
    for object in helm.render_as("123", "456", &values).expect("it is rendered") {
        let metadata = &object["metadata"];
        assert!(metadata["name"].as_str().is_some_and(|name| name.starts_with("true")), "{metadata}");
        assert_eq!(metadata["namespace"], "456", "{metadata}");
        for (key, expected) in [("instance", "123"), ("name", "no")] {
            assert_eq!(metadata["labels"][format!("app.kubernetes.io/{key}")], expected, "{metadata}");
        }
        let pod = &object["spec"]["template"]["spec"];
        assert!(pod.is_null() || pod["serviceAccountName"] == "1", "{pod}");
    }
}

#[test]
fn what_kubernetes_takes_as_texts_alone_is_written_as_texts() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(WORKING[10]).expect("it is rendered");
    let set = &object(&objects, "StatefulSet", "hf-holdfast-broker")["spec"];
    let env = set["template"]["spec"]["containers"][0]["env"].as_array().expect("variables");
    let value = |name: &str| env.iter().find(|one| one["name"] == name).map(|one| one["value"].clone());
    assert_eq!(["A", "B", "C"].map(value), ["1000000", "true", "- x"].map(|text| Some(text.into())));
    // What other charts mean by a dash: no class, which is not the same as the cluster's.
    assert_eq!(set["volumeClaimTemplates"][0]["spec"]["storageClassName"], "");
    let plain = helm.render(&[]).expect("it is rendered");
    let claims = &object(&plain, "StatefulSet", "hf-holdfast-broker")["spec"]["volumeClaimTemplates"];
    assert!(claims[0]["spec"]["storageClassName"].is_null());
    let limits = &object(&objects, "Pod", "hf-holdfast-test-audit")["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!((&limits["cpu"], &limits["memory"]), (&1.into(), &"256Mi".into()));
}

#[test]
fn an_ipv6_network_is_listened_on_and_told() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(WORKING[9]).expect("it is rendered");
    let file = |role: &str, file: &str| {
        let data = &object(&objects, "ConfigMap", &format!("hf-holdfast-{role}"))["data"][file];
        data.as_str().unwrap_or_else(|| panic!("no {file}")).to_owned()
    };
    let first = file("broker", "broker-0.toml");
    for line in ["client_listen = \"[::]:7070\"", "client_advertised_address = \"[2001:db8::1]:30070\""] {
        assert!(first.contains(line), "{line} is missing in: {first}");
    }
    assert!(file("controller", "controller.toml").contains("listen = \"[::]:7072\""));
}
