//! `README.md` says what is so: its tables and vectors are written from the code.
#![cfg(feature = "grpc")]

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use holdfast_proto::{
    batch::{BatchBuilder, Compression, ProducerStamp, RecordRef},
    error::{ErrorCode, Outcome},
    ids::{ProducerEpoch, ProducerId, Sequence, TimestampMs},
    partitioner::partition_for_key,
    status::{DOMAIN, key, to_status},
    v1,
};

fn path() -> PathBuf {
    // Tests run in the folder of their crate.
    PathBuf::from("README.md")
}

/// The text with this section in place of the one between its marks.
fn with_section(text: &str, name: &str, section: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (head, rest) = text.split_once(&begin).expect("the mark is there");
    let (_, tail) = rest.split_once("<!-- end -->").expect("the section ends");
    format!("{head}{begin}{section}<!-- end -->{tail}")
}

fn errors() -> String {
    let mut table =
        "\n| reason | number | gRPC | retriable | outcome | meaning |\n|---|---|---|---|---|---|\n".to_owned();
    for code in ErrorCode::ALL {
        let outcome = match code.outcome() {
            Outcome::NotAppended => v1::Outcome::NotAppended,
            Outcome::Unknown => v1::Outcome::Unknown,
        };
        let grpc = format!("{:?}", to_status(&(*code).into()).code());
        let again = if code.is_retriable() { "yes" } else { "no" };
        let (name, number, outcome) = (code.name(), code.number(), outcome.as_str_name());
        writeln!(table, "| {name} | {number} | {grpc} | {again} | {outcome} | {} |", code.sentence()).unwrap();
    }
    table + "\n"
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 32 == 0 {
            text.push('\n');
        }
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn vectors() -> String {
    let mut builder = BatchBuilder::new(Compression::None);
    for (key, value) in [(Some(b"k".as_slice()), Some(b"one".as_slice())), (None, None)] {
        let record = RecordRef { timestamp: TimestampMs(1_700_000_000_000), key, value, headers: &[] };
        builder.append(&record).unwrap();
    }
    let stamp = ProducerStamp { id: ProducerId(7), epoch: ProducerEpoch(1), base_sequence: Sequence(3) };
    let batch = builder.build(Some(stamp)).unwrap();
    let mut text = format!(
        "\nCRC-32C of the nine bytes `123456789` is 0x{:08x}.\n\n\
         A batch of two records at 1,700,000,000,000 ms, not compressed: key `k` with value `one`, then neither key nor \
         value; producer id 7, epoch 1, first sequence 3. Its CRC-32C is 0x{:08x}.\n\n```text\n{}\n```\n\n\
         | key | partition of 10 | partition of 3 |\n|---|---|---|\n",
        crc32c::crc32c(b"123456789"),
        u32::from_be_bytes(batch[17..21].try_into().unwrap()),
        hex(&batch),
    );
    for key in ["", "a", "foobar", "orders-4711"] {
        let of = |count| partition_for_key(key.as_bytes(), count);
        writeln!(text, "| `{key}` | {} | {} |", of(10), of(3)).unwrap();
    }
    text + "\n"
}

#[test]
fn tables_and_vectors_are_those_of_the_code() {
    let text = fs::read_to_string(path()).unwrap();
    let written = with_section(&with_section(&text, "errors", &errors()), "vectors", &vectors());
    if std::env::var_os("HOLDFAST_WRITE_DOCS").is_some() {
        fs::write(path(), &written).unwrap();
        return;
    }
    assert!(written == text, "proto/README.md is stale: run this test with HOLDFAST_WRITE_DOCS=1");
}

#[test]
fn every_key_of_a_refusal_is_explained() {
    let text = fs::read_to_string(path()).unwrap();
    assert!(text.contains(&format!("| `domain` | `{DOMAIN}` |")));
    let keys = BTreeSet::from([
        key::NUMBER,
        key::RETRIABLE,
        key::OUTCOME,
        key::LEADER_ID,
        key::LEADER_EPOCH,
        key::LEADER_ADDRESS,
        key::CONTROLLER_ID,
        key::CONTROLLER_ADDRESS,
    ]);
    for key in keys {
        assert!(text.contains(&format!("[\"{key}\"]")), "{key}");
    }
    for outcome in [v1::Outcome::NotAppended, v1::Outcome::Unknown] {
        assert!(text.contains(&format!("`{}`", outcome.as_str_name())));
    }
}
