//! Values of the chart that must work, and that must be refused.

/// Values that have to work: the defaults, every example, and every option that adds something.
pub(crate) const WORKING: [&[&str]; 11] = [
    &[],
    &["--values", "trial.yaml"],
    &["--values", "kind.yaml"],
    &["--values", "nodeport.yaml"],
    &["--values", "loadbalancer.yaml"],
    &["--set", "controller.replicas=5,broker.replicas=7,broker.antiAffinity=none,controller.zoneSpread=false"],
    &["--set", "fullnameOverride=log,clusterDomain=example.org,broker.rack=a,networkPolicy.enabled=false"],
    &["--set", "broker.config.retention_check_interval_ms=1000,controller.config.snapshot_interval_entries=500"],
    &[
        "--set-json",
        r#"image={"pullSecrets":[{"name":"registry"}],"tag":"1.2.3","pullPolicy":"Never"}"#,
        "--set-json",
        r#"broker={"extraArgs":["--set","log_writer_threads=2"],"extraEnv":[{"name":"A","value":"b"}],
            "extraVolumes":[{"name":"x","emptyDir":{}}],"extraVolumeMounts":[{"name":"x","mountPath":"/x"}],
            "podAnnotations":{"a":"b"},"podLabels":{"c":"d"},"nodeSelector":{"e":"f"},
            "tolerations":[{"key":"g","operator":"Exists"}],"affinity":{"nodeAffinity":{}},
            "priorityClassName":"high","podSecurityContext":{"fsGroup":1},"storage":{"className":"fast"}}"#,
        "--set",
        "service.type=LoadBalancer,service.annotations.h=i,serviceAccountName=holdfast",
    ],
    // An IPv6 network, its addresses in brackets; a rack and a tag that look like something else.
    &[
        "--set-json",
        r#"broker.external={"enabled":true,"brokers":[{"address":"[2001:db8::1]:30070","loadBalancerIP":"2001:db8::1"},
            {"address":"[2001:db8::2]:30070"},{"address":"b.example:65535"}]}"#,
        "--set-string",
        "ipFamily=IPv6,broker.rack=0,image.tag=_1.",
    ],
    // The least memory that a broker's bounds fit in; volumes that are made by hand; a test pod under a quota.
    &[
        "--set",
        "broker.resources.limits.memory=320Mi,broker.storage.className=-,test.resources.limits.cpu=1",
        "--set-json",
        r#"broker.extraEnv=[{"name":"A","value":1000000},{"name":"B","value":true},{"name":"C","value":"- x"}]"#,
    ],
];

/// Values that must be refused, and words of the reason.
pub(crate) const REFUSED: [(&[&str], &str); 30] = [
    (&["--set", "controller.replicas=4"], "value must be one of 1, 3, 5"),
    (&["--set", "controller.replicas=2"], "value must be one of 1, 3, 5"),
    (&["--set", "controller.replicas=1"], "controller.allowSingle=true"),
    (&["--set", "topicDefaults.replicationFactor=5"], "replicationFactor (5) is more than broker.replicas (3)"),
    (&["--set", "broker.replicas=2"], "replicationFactor (3) is more than broker.replicas (2)"),
    (&["--set", "topicDefaults.minInsyncReplicas=3"], "topicDefaults.allowNoSpareReplica=true"),
    (&["--set", "topicDefaults.minInsyncReplicas=4"], "no record could be acknowledged"),
    (&["--set", "broker.replicsa=3"], "additional properties 'replicsa' not allowed"),
    (&["--set", "typo=1"], "additional properties 'typo' not allowed"),
    (&["--set", "broker.antiAffinity=always"], "value must be one of 'hard', 'soft', 'none'"),
    (&["--set", "broker.storage.size=twenty"], "does not match pattern"),
    (&["--set", "broker.config.data_dir=/data"], "broker.config.data_dir is set by the chart"),
    (&["--set", "controller.config.default_replication_factor=1"], "see topicDefaults"),
    (&["--set", "broker.config.shutdown_timeout_ms=115000"], "less than 10 seconds"),
    (&["--values", "nodeport.yaml", "--set", "broker.replicas=4"], "3 entries for 4 brokers"),
    (&["--set-json", r#"broker.external={"enabled":true,"brokers":[{"address":"a"}]}"#], "does not match pattern"),
    (
        &["--set-json", r#"broker.external={"enabled":true,"brokers":[{"address":"a:1"},{"address":"a:1"}]}"#],
        "names a:1 twice",
    ),
    (&["--set-json", r#"broker.external={"enabled":true,"brokers":[{"address":"::1:70"}]}"#], "does not match pattern"),
    (&["--set-json", r#"broker.external={"enabled":true,"brokers":[{"address":"[a]:70"}]}"#], "does not match pattern"),
    (&["--set-json", r#"broker.external={"enabled":true,"brokers":[{"address":"a:65536"}]}"#], "at most 65535"),
    (&["--set-string", "fullnameOverride=9lives"], "does not match pattern"),
    (&["--set-json", r#"broker.podLabels={"app.kubernetes.io/instance":"x"}"#], "is set by the chart: Services"),
    (&["--set-json", r#"controller.podAnnotations={"checksum/config":"x"}"#], "rolls the pods by it"),
    (&["--set-json", r#"broker.extraEnv=[{"name":"POD_NAME","value":"x"}]"#], "names POD_NAME"),
    (&["--set-json", r#"broker.extraEnv=[{"name":"A","value":{}}]"#], "got object"),
    (&["--set-json", r#"broker.extraVolumes=[{"name":"data","emptyDir":{}}]"#], "a volume of the chart's"),
    (&["--set-json", r#"broker.extraVolumeMounts=[{"name":"a","mountPath":"/etc/holdfast/"}]"#], "where a volume"),
    (&["--set", "broker.resources.limits.memory=128Mi"], "more than broker.resources.limits.memory (128 MiB)"),
    (&["--set", "broker.resources.limits.memory=300Mi"], "more than broker.resources.limits.memory (300 MiB)"),
    (&["--set", "broker.config.max_in_flight_bytes=1073741824"], "more than broker.resources.limits.memory"),
];
