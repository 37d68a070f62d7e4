//! The table of a program's metrics, from which everything else about them is made.

/// All metrics of a program, in the order in which they are told.
pub type Table = &'static [&'static Metric];

/// How the values of a metric are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows while the process runs; its name ends in `_total`.
    Counter,
    /// Its value is 1: what it tells stands in its labels; its name ends in `_info`.
    Info,
}

impl Kind {
    /// How the reference calls it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Info => "info",
        }
    }

    /// What the name ends in, behind the unit.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Gauge => "",
            Self::Counter => "_total",
            Self::Info => "_info",
        }
    }
}

/// One metric, as [`metrics!`](crate::metrics) declares it.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name as Prometheus' text has it, with unit and suffix.
    pub name: &'static str,
    /// How its values are to be read.
    pub kind: Kind,
    /// Its unit, a base unit in the plural as `bytes` or `seconds`, which its name has too; empty if it counts things.
    pub unit: &'static str,
    /// The names of its labels; none if it has one value.
    pub labels: &'static [&'static str],
    /// Its meaning: the lines of its doc comment, each with the blank that it begins with.
    pub doc: &'static [&'static str],
}

impl Metric {
    /// Its meaning as one line.
    pub(super) fn help(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// Its name without unit and suffix.
    pub(super) fn stem(&self) -> &'static str {
        let name = self.name.strip_suffix(self.kind.suffix()).unwrap_or(self.name);
        let stem = name.strip_suffix(self.unit).and_then(|stem| stem.strip_suffix('_'));
        stem.filter(|_| !self.unit.is_empty()).unwrap_or(name)
    }
}

/// Declares a program's metrics: doc, name of the constant, name, kind, unit if it has one, labels if it has some. Makes a
/// static of each for the module above, and the [`Table`] of all.
#[macro_export]
macro_rules! metrics {
    (
        $(#[$about:meta])*
        $vis:vis static $table:ident;
        $(
            $(#[doc = $doc:literal])+
            $constant:ident: $name:literal, $kind:ident $(in $unit:literal)? $(by $($label:literal),+)?;
        )*
    ) => {
        $(
            $(#[doc = $doc])+
            pub(super) static $constant: $crate::metrics::Metric = $crate::metrics::Metric {
                name: $name,
                kind: $crate::metrics::Kind::$kind,
                unit: concat!($($unit)?),
                labels: &[$($($label),+)?],
                doc: &[$($doc),+],
            };
        )*

        $(#[$about])*
        $vis static $table: $crate::metrics::Table = &[$(&$constant),*];
    };
}

/// Everything in a table that Prometheus' conventions do not allow, for a test of each program: prefix, suffixes, base units,
/// characters, names that stand twice.
pub fn problems(table: Table) -> Vec<String> {
    let mut all = Vec::new();
    for (at, metric) in table.iter().enumerate() {
        let Metric { name, kind, unit, labels, .. } = metric;
        let mut say = |bad: bool, what: &str| {
            if bad {
                all.push(format!("{name}: {what}"));
            }
        };
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        say(!is_word(name) || !name.starts_with("holdfast_"), "a name is holdfast_ and small letters");
        say(!name.ends_with(kind.suffix()), "a counter ends in _total, an info in _info");
        say(
            *kind == Kind::Gauge && ["_total", "_info"].iter().any(|end| name.ends_with(end)),
            "a gauge ends otherwise",
        );
        say(!["", "bytes", "seconds", "ratio"].contains(unit), "a unit is a base unit");
        let is_last = |unit: &str| format!("{}_{unit}{}", metric.stem(), kind.suffix()) == *name;
        say(!unit.is_empty() && !is_last(unit), "the unit stands last in the name");
        say(name.contains("_ms") || name.contains("milli"), "times are in seconds");
        say(labels.iter().any(|label| !is_word(label) || label.starts_with("__")), "a label is small letters");
        say(table[..at].iter().any(|other| other.name == *name), "it stands twice");
        say(!metric.help().ends_with('.') || metric.help().contains(['\\', '\n', '"']), "help is a plain sentence");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::metrics! {
        /// Right ones and wrong ones.
        pub(super) static TABLE;

        /// Bytes that were read.
        READ: "holdfast_read_bytes_total", Counter in "bytes";
        /// How old something is.
        AGE: "holdfast_age_seconds", Gauge in "seconds" by "kind", "place";
        /// Which build it is.
        BUILD: "holdfast_build_info", Info by "version";
        /// A number of things.
        THINGS: "holdfast_things", Gauge;
        /// A number of things.
        TWICE: "holdfast_things", Gauge;
        /// this is no sentence
        BAD: "things_Ms", Counter in "ms" by "Kind";
    }

    #[test]
    fn a_name_is_taken_apart_and_put_together_again() {
        assert_eq!(TABLE.len(), 6);
        assert_eq!([&READ, &AGE, &BUILD].map(Metric::stem), ["holdfast_read", "holdfast_age", "holdfast_build"]);
        assert_eq!((THINGS.stem(), THINGS.help().as_str()), ("holdfast_things", "A number of things."));
        assert_eq!(AGE.labels, ["kind", "place"]);
    }

    #[test]
    fn what_prometheus_does_not_want_is_found() {
        let found = problems(TABLE);
        let of = |name: &str| found.iter().filter(|problem| problem.starts_with(&format!("{name}: "))).count();
        assert_eq!((of("holdfast_things"), of("things_Ms")), (1, 6), "{found:?}");
        assert_eq!(found.len(), 7, "{found:?}");
    }
}
