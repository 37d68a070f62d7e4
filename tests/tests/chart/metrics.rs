//! The port for metrics: where it is served, who reaches it, and the PodMonitor.

use serde_json::{Value, json};

use crate::helm::{Helm, object};

fn ports(objects: &[Value], role: &str) -> Vec<Value> {
    let set = object(objects, "StatefulSet", &format!("hf-holdfast-{role}"));
    set["spec"]["template"]["spec"]["containers"][0]["ports"].as_array().expect("a list").clone()
}

/// Who may reach the port for metrics of a role, as its policy says; `None`: nobody.
fn reached_by(objects: &[Value], role: &str) -> Option<Value> {
    let policy = object(objects, "NetworkPolicy", &format!("hf-holdfast-{role}"));
    let rules = policy["spec"]["ingress"].as_array().expect("a list");
    rules.iter().find(|rule| rule["ports"][0]["port"] == 7073).map(|rule| rule["from"].clone())
}

#[test]
fn metrics_are_served_on_a_port_of_their_own_that_the_outside_does_not_reach() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.render(&[]).expect("the defaults");
    for role in ["broker", "controller"] {
        assert!(ports(&objects, role).contains(&json!({"name": "metrics", "containerPort": 7073})), "{role}");
        assert_eq!(reached_by(&objects, role), Some(json!([{"namespaceSelector": {}}])), "{role}");
        let files = object(&objects, "ConfigMap", &format!("hf-holdfast-{role}"))["data"].to_string();
        assert!(files.contains(r#"metrics_listen = \"0.0.0.0:7073\""#), "{files}");
    }
    // The Services are for clients and nodes.
    for service in objects.iter().filter(|object| object["kind"] == "Service") {
        assert!(!service["spec"]["ports"].to_string().contains("metrics"), "{service}");
    }
    assert!(objects.iter().all(|object| object["kind"] != "PodMonitor"), "its CRD may not be there");
    let from = r#"metrics.from=[{"podSelector":{"matchLabels":{"app":"prometheus"}}}]"#;
    let narrow = helm.render(&["--set-json", from]).expect("it works");
    assert_eq!(reached_by(&narrow, "broker"), Some(json!([{"podSelector": {"matchLabels": {"app": "prometheus"}}}])));
    let off = helm.render(&["--set", "metrics.enabled=false,metrics.podMonitor.enabled=true"]).expect("it works");
    let tells =
        |object: &Value| object.to_string().contains("metrics_listen") || object.to_string().contains("\"metrics\"");
    assert!(!off.iter().any(tells), "an image that knows no metrics");
    assert_eq!(reached_by(&off, "broker"), None);
    assert!(off.iter().all(|object| object["kind"] != "PodMonitor"));
    let refused = helm.render(&["--set", "broker.config.metrics_listen=a:1"]).expect_err("it is the chart's");
    assert!(refused.contains("broker.config.metrics_listen is set by the chart"), "{refused}");
}

#[test]
fn a_pod_monitor_selects_both_roles_and_is_found_by_its_labels() {
    let Some(helm) = Helm::find() else { return };
    let values = [
        "--set",
        "metrics.podMonitor.enabled=true,metrics.podMonitor.labels.release=mon,metrics.podMonitor.interval=30s",
    ];
    let objects = helm.render(&values).expect("it works");
    let monitor = object(&objects, "PodMonitor", "hf-holdfast");
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(monitor["metadata"]["labels"]["release"], "mon");
    assert_eq!(monitor["metadata"]["labels"]["app.kubernetes.io/instance"], "hf");
    assert_eq!(
        monitor["spec"]["podMetricsEndpoints"],
        json!([{"port": "metrics", "path": "/metrics", "interval": "30s"}])
    );
    let selector = &monitor["spec"]["selector"];
    for role in ["broker", "controller"] {
        let set = object(&objects, "StatefulSet", &format!("hf-holdfast-{role}"));
        let labels = &set["spec"]["template"]["metadata"]["labels"];
        for (label, value) in selector["matchLabels"].as_object().expect("labels") {
            assert_eq!(&labels[label], value, "{role}");
        }
        let roles = selector["matchExpressions"][0]["values"].as_array().expect("roles");
        assert!(roles.contains(&labels["app.kubernetes.io/component"]), "{role}");
    }
}
