//! The Helm chart, without a Kubernetes: what it renders, and what it refuses.
//!
//! Not run where there is no helm. The objects are checked against the API's schemas where those are there, the
//! configuration by the programs themselves where `HOLDFAST_BIN_DIR` names their folder.

mod api;
mod cases;
mod helm;
mod memory;
mod metrics;
mod names;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use self::{
    api::Api,
    cases::{REFUSED, WORKING},
    helm::{Helm, object, root},
};

fn render(helm: &Helm, values: &[&str]) -> Vec<Value> {
    helm.render(values).unwrap_or_else(|error| panic!("{values:?}: {error}"))
}

#[test]
fn values_that_work_are_clean_to_lint_and_the_api() {
    let Some(helm) = Helm::find() else { return };
    let api = Api::find();
    for values in WORKING {
        helm.lint(values).unwrap_or_else(|error| panic!("{values:?}: {error}"));
        let objects = render(&helm, values);
        assert!(objects.len() >= 9, "{values:?}: only {} objects", objects.len());
        for object in &objects {
            let problems = api.as_ref().map(|api| api.check(object)).unwrap_or_default();
            assert!(problems.is_empty(), "{values:?}: {}", problems.join("\n"));
        }
        let named = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
        let distinct: BTreeSet<_> = objects.iter().map(named).collect();
        assert_eq!(distinct.len(), objects.len(), "{values:?}: two objects with one name");
    }
}

#[test]
fn the_schemas_find_what_is_wrong() {
    let Some(api) = Api::find() else { return };
    let wrong = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": 1}, "spec": {"prots": []}});
    assert_eq!(
        api.check(&wrong),
        ["Service.metadata.name is 1, not of type \"string\"", "Service.spec.prots is not a field"]
    );
    assert_eq!(api.check(&json!({"apiVersion": "v2", "kind": "Service"})), ["no kind \"Service\" in \"v2\""]);
}

#[test]
fn unsafe_or_unknown_values_are_refused_with_the_reason() {
    let Some(helm) = Helm::find() else { return };
    for (values, reason) in REFUSED {
        let error = helm.render(values).expect_err(&format!("{values:?} was not refused"));
        assert!(error.contains(reason), "{values:?}: {reason:?} is not in: {error}");
    }
    let all = ["--set", "controller.replicas=1,topicDefaults.replicationFactor=9"];
    assert!(helm.render(&all).expect_err("two problems").contains("2 problem(s)"));
}

#[test]
fn every_pod_is_restricted() {
    let Some(helm) = Helm::find() else { return };
    for values in WORKING {
        for object in render(&helm, values) {
            let pod = match object["kind"].as_str() {
                Some("StatefulSet") => &object["spec"]["template"]["spec"],
                Some("Pod") => &object["spec"],
                _ => continue,
            };
            assert_eq!(pod["automountServiceAccountToken"], false);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            let lists = [&pod["containers"], &pod["initContainers"]];
            for container in lists.into_iter().filter_map(Value::as_array).flatten() {
                let expected = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]}});
                assert_eq!(container["securityContext"], expected);
                assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
                let program = container["command"][0].as_str().unwrap_or_default();
                assert!(program.starts_with("/usr/bin/holdfast"), "{program}");
            }
        }
    }
}

#[test]
fn rolls_budgets_and_volumes_are_safe() {
    let Some(helm) = Helm::find() else { return };
    let objects = render(&helm, &[]);
    for (role, port) in [("broker", 7071), ("controller", 7072)] {
        let name = format!("hf-holdfast-{role}");
        let set = &object(&objects, "StatefulSet", &name)["spec"];
        assert_eq!(set["podManagementPolicy"], "Parallel");
        assert_eq!(set["updateStrategy"]["type"], "RollingUpdate");
        assert_eq!(
            set["persistentVolumeClaimRetentionPolicy"],
            json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
        );
        let container = &set["template"]["spec"]["containers"][0];
        let ask = |probe: &str| container[probe]["grpc"].clone();
        assert_eq!(ask("startupProbe"), json!({"port": port, "service": "started"}));
        assert_eq!(ask("livenessProbe"), json!({"port": port, "service": "live"}));
        assert_eq!(ask("readinessProbe"), json!({"port": port, "service": "safe-to-stop-next"}));
        let anti = &set["template"]["spec"]["affinity"]["podAntiAffinity"];
        let required = &anti["requiredDuringSchedulingIgnoredDuringExecution"][0];
        assert_eq!(required["topologyKey"], "kubernetes.io/hostname");
        assert_eq!(required["labelSelector"], set["selector"]);
        let budget = &object(&objects, "PodDisruptionBudget", &name)["spec"];
        assert_eq!((&budget["maxUnavailable"], &budget["selector"]), (&json!(1), &set["selector"]));
        // What a claim says can never change, so nothing in it may depend on a version.
        let claim = &set["volumeClaimTemplates"][0]["metadata"]["labels"];
        assert_eq!(claim, &set["selector"]["matchLabels"]);
    }
    // Readiness means that another pod may stop, not that this one serves.
    for service in objects.iter().filter(|object| object["kind"] == "Service") {
        assert_eq!(service["spec"]["publishNotReadyAddresses"], true, "{}", service["metadata"]["name"]);
    }
}

#[test]
fn a_changed_setting_rolls_its_own_role_and_a_new_chart_rolls_none() {
    let Some(helm) = Helm::find() else { return };
    let template = |values: &[&str], role: &str| {
        object(&render(&helm, values), "StatefulSet", &format!("hf-holdfast-{role}"))["spec"]["template"].clone()
    };
    let changed = ["--set", "broker.config.fetches_per_stream=8"];
    assert_ne!(template(&[], "broker"), template(&changed, "broker"));
    assert_eq!(template(&[], "controller"), template(&changed, "controller"));
    assert_eq!(template(&[], "broker"), template(&["--set", "broker.replicas=5"], "broker"));
    assert!(!template(&[], "broker").to_string().contains("helm.sh/chart"));
    // The process reads the copy that its pod checked, never the ConfigMap: that one may be of a later, stuck roll.
    let mounts = template(&[], "broker")["spec"]["containers"][0]["volumeMounts"].to_string();
    assert!(mounts.contains("checked") && !mounts.contains("config\""), "{mounts}");
}

#[test]
fn options_arrive_where_they_are_expected() {
    let Some(helm) = Helm::find() else { return };
    let objects = render(&helm, WORKING[8]);
    let template = &object(&objects, "StatefulSet", "hf-holdfast-broker")["spec"]["template"];
    let pod = &template["spec"];
    let container = &pod["containers"][0];
    assert_eq!(
        (&template["metadata"]["annotations"]["a"], &template["metadata"]["labels"]["c"]),
        (&json!("b"), &json!("d"))
    );
    assert_eq!((&pod["nodeSelector"]["e"], &pod["tolerations"][0]["key"]), (&json!("f"), &json!("g")));
    assert_eq!((&pod["affinity"], &pod["priorityClassName"]), (&json!({"nodeAffinity": {}}), &json!("high")));
    assert_eq!(
        (&pod["securityContext"]["fsGroup"], &pod["imagePullSecrets"][0]["name"]),
        (&json!(1), &json!("registry"))
    );
    assert_eq!(pod["serviceAccountName"], "holdfast");
    assert_eq!((&container["image"], &container["imagePullPolicy"]), (&json!("holdfast:1.2.3"), &json!("Never")));
    let has = |list: &Value, item: &Value| list.as_array().is_some_and(|list| list.contains(item));
    assert!(has(&container["env"], &json!({"name": "A", "value": "b"})));
    assert!(has(&container["volumeMounts"], &json!({"name": "x", "mountPath": "/x"})));
    assert!(has(&container["args"], &json!("log_writer_threads=2")));
    assert!(has(&pod["volumes"], &json!({"name": "x", "emptyDir": {}})));
    let service = object(&objects, "Service", "hf-holdfast");
    assert_eq!(
        (&service["spec"]["type"], &service["metadata"]["annotations"]["h"]),
        (&json!("LoadBalancer"), &json!("i"))
    );
    let outside = render(&helm, WORKING[3]);
    let third = &object(&outside, "Service", "hf-holdfast-broker-2")["spec"];
    assert_eq!(third["selector"]["statefulset.kubernetes.io/pod-name"], "hf-holdfast-broker-2");
    assert_eq!(third["ports"][0]["nodePort"], 30072);
}

/// The arguments of a pod's first container of a list, as the kubelet expands them, with a folder for `/etc` and `/run`.
fn arguments(set: &Value, containers: &str, ordinal: u64, folder: &str) -> Vec<String> {
    let pod = format!("{}-{ordinal}", set["metadata"]["name"].as_str().unwrap_or_default());
    let list = set["spec"]["template"]["spec"][containers][0]["args"].as_array().expect("arguments");
    let expand = |text: &str| {
        let text = text.replace("$(POD_NAME)", &pod).replace("$(HOLDFAST_ORDINAL)", &ordinal.to_string());
        let text = text.replace("$(HOLDFAST_ZONE)", "zone-a");
        assert!(!text.contains("$("), "{text}");
        text.replace("/etc/", &format!("{folder}/etc/")).replace("/run/", &format!("{folder}/run/"))
    };
    list.iter().map(|text| expand(text.as_str().expect("an argument is text"))).collect()
}

/// Runs a pod's check of its settings, then starts its container with the copy that the check kept, up to a second check.
fn check(programs: &Path, set: &Value, files: &Value, ordinal: u64) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for path in ["etc/holdfast", "run/checked"] {
        fs::create_dir_all(folder.path().join(path)).expect("it is writable");
    }
    for (file, content) in files.as_object().expect("files") {
        let path = folder.path().join("etc/holdfast").join(file);
        fs::write(path, content.as_str().unwrap_or_default()).expect("it is writable");
    }
    let path = set["spec"]["template"]["spec"]["containers"][0]["command"][0].as_str().unwrap_or_default();
    let program = programs.join(path.trim_start_matches("/usr/bin/"));
    let root = folder.path().display().to_string();
    let run = |arguments: Vec<String>| {
        let output = Command::new(&program).args(&arguments).output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(format!("{arguments:?}: {said}")) }
    };
    run(arguments(set, "initContainers", ordinal, &root))?;
    // The volume of the copy is mounted where the configuration is in the container that stays.
    fs::remove_dir_all(folder.path().join("etc/holdfast")).expect("it is writable");
    fs::rename(folder.path().join("run/checked"), folder.path().join("etc/holdfast")).expect("it is writable");
    run([arguments(set, "containers", ordinal, &root), vec!["--check-config".to_owned()]].concat())
}

#[test]
fn the_programs_accept_what_the_chart_writes() {
    let Some(helm) = Helm::find() else { return };
    let Some(programs) = env::var_os("HOLDFAST_BIN_DIR").map(PathBuf::from) else {
        eprintln!("not run: HOLDFAST_BIN_DIR is not set; `make test` sets it");
        return;
    };
    for values in WORKING {
        let objects = render(&helm, values);
        for set in objects.iter().filter(|object| object["kind"] == "StatefulSet") {
            let name = set["metadata"]["name"].as_str().unwrap_or_default();
            let files = &object(&objects, "ConfigMap", name)["data"];
            let count = set["spec"]["replicas"].as_u64().unwrap_or_default();
            assert!(count > 0, "{name} has no pods");
            for ordinal in 0..count {
                check(&programs, set, files, ordinal).unwrap_or_else(|error| panic!("{values:?}: {name}: {error}"));
            }
        }
    }
    let objects = render(&helm, &["--set", "broker.config.fetch_max_byte=1"]);
    let files = &object(&objects, "ConfigMap", "hf-holdfast-broker")["data"];
    let wrong = check(&programs, object(&objects, "StatefulSet", "hf-holdfast-broker"), files, 0);
    assert!(wrong.expect_err("an unknown option").contains("did you mean 'fetch_max_bytes'"));
}

#[test]
fn the_schema_and_the_table_keep_in_step_with_the_values() {
    let Ok(output) = Command::new("python3").arg(root().join("deploy/helm/values.py")).arg("--check").output() else {
        eprintln!("not run: there is no python3");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
