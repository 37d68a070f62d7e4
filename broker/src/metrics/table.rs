//! Every metric of a broker: meaning, name, type, unit, labels.

holdfast_node::metrics! {
    /// Every metric of a broker.
    pub static TABLE;

    /// Which program this is, and of which build.
    BUILD: "holdfast_build_info", Info by "program", "version";
    /// The metadata version of the cluster as this node knows it: it is finalised by an operator, and never goes back.
    METADATA_VERSION: "holdfast_metadata_version", Gauge;
    /// The newest metadata version that this build supports.
    METADATA_VERSION_SUPPORTED: "holdfast_metadata_version_supported", Gauge;
}
