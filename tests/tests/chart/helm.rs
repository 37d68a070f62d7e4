//! Helm, as the tests call it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// The root of the source tree.
pub(crate) fn root() -> PathBuf {
    Path::new("..").canonicalize().expect("the tests crate lies in the workspace")
}

/// Where the programs of the tests on Kubernetes are kept: `HOLDFAST_K8S_DIR`, or a folder of the user's cache.
fn tools() -> PathBuf {
    let named = env::var_os("HOLDFAST_K8S_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/holdfast/k8s"))
}

/// The program `helm` and the chart.
pub(crate) struct Helm {
    program: PathBuf,
    chart: PathBuf,
}

impl Helm {
    /// Looks on the path and among the tools; says why not where it is in neither.
    pub(crate) fn find() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain([tools().join("bin")]);
        let program = folders.map(|folder| folder.join("helm")).find(|file| file.is_file());
        if program.is_none() {
            eprintln!("not run: there is no helm on the path nor in {}; `make helm` builds one", tools().display());
        }
        Some(Self { program: program?, chart: root().join("deploy/helm/holdfast") })
    }

    fn run(&self, arguments: &[&str]) -> Output {
        // No cluster may answer: what the chart says depends on its values alone.
        let mut command = Command::new(&self.program);
        command.args(arguments).env("KUBECONFIG", "/dev/null").current_dir(root().join("deploy/helm/examples"));
        command.output().expect("helm starts")
    }

    /// What `helm lint --strict` says with these values; the error has its words.
    pub(crate) fn lint(&self, values: &[&str]) -> Result<(), String> {
        let chart = self.chart.display().to_string();
        let output = self.run(&[&["lint", "--strict", &chart], values].concat());
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stdout).into_owned()) }
    }

    /// The objects of a release `hf` in the namespace `messages`; the error has helm's words.
    ///
    /// `values` are flags as `--set key=value` and `--values file` (of `deploy/helm/examples`).
    pub(crate) fn render(&self, values: &[&str]) -> Result<Vec<Value>, String> {
        self.render_as("hf", "messages", values)
    }

    /// As [`Self::render`], of a release and in a namespace with these names.
    pub(crate) fn render_as(&self, release: &str, namespace: &str, values: &[&str]) -> Result<Vec<Value>, String> {
        let chart = self.chart.display().to_string();
        let output = self.run(&[&["template", release, &chart, "--namespace", namespace], values].concat());
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(self.parse(&output.stdout))
    }

    /// YAML documents as JSON. Helm reads them, in a chart that does nothing else: it is the reader that counts.
    fn parse(&self, documents: &[u8]) -> Vec<Value> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).expect("it is writable");
        fs::create_dir(folder.path().join("templates")).expect("it is writable");
        write("Chart.yaml", b"{apiVersion: v2, name: json, version: 0.0.0}");
        write("documents.yaml", documents);
        write(
            "templates/json.yaml",
            br#"{{- $items := list }}
{{- range splitList "\n---" (printf "\n%s" (.Files.Get "documents.yaml")) }}
{{- with fromYaml . }}{{ $items = append $items . }}{{ end }}
{{- end }}
{{ toJson (dict "kind" "List" "items" $items) }}"#,
        );
        let output = self.run(&["template", "json", &folder.path().display().to_string()]);
        let printed = String::from_utf8(output.stdout).expect("helm prints UTF-8");
        let json = printed.lines().find(|line| line.starts_with('{')).expect("helm prints the list");
        let list: Value = serde_json::from_str(json).expect("helm prints JSON");
        let items = list["items"].as_array().expect("a list").clone();
        for item in &items {
            assert!(item.get("Error").is_none(), "a document is not YAML: {item}");
        }
        items
    }
}

/// The one object of a kind and name.
pub(crate) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let first = found.next().unwrap_or_else(|| panic!("no {kind} {name} was rendered"));
    assert!(found.next().is_none(), "two of {kind} {name}");
    first
}
