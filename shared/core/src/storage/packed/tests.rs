use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::{NotPacked, TYPICAL, UNPACKED_BYTES_MAX, dictionary, pack, unpack};

const RECORD: &str = r#"{"version":2,"key":{"route":"r","date":"2026-01-31","id":"0af1"},"task":"t"}"#;

/// Packs a text of any length.
fn deflated(text: &[u8], known: &str) -> Vec<u8> {
    let mut deflate = Compress::new(Compression::best(), true);
    deflate.set_dictionary(&dictionary(known)).expect("is set");
    let mut packed = Vec::with_capacity(text.len() + 64);
    deflate.compress_vec(text, &mut packed, FlushCompress::Finish).expect("is deflated");
    packed
}

proptest! {
    #[test]
    fn what_was_packed_is_unpacked(record in any::<String>(), known in any::<String>(), times in 0_usize..2000) {
        let record = record.repeat(times);
        let packed = pack(&record, &known).expect("is not too long");
        prop_assert_eq!(unpack(&packed, &known), Ok(record));
    }

    #[test]
    fn bytes_from_anywhere_are_refused(bytes in any::<Vec<u8>>()) {
        prop_assert!(unpack(&bytes, "").is_err());
    }
}

#[test]
fn a_text_that_is_too_long_is_neither_packed_nor_unpacked() {
    let longest = "x".repeat(UNPACKED_BYTES_MAX);
    let packed = pack(&longest, "").expect("is not too long");
    assert_eq!(unpack(&packed, ""), Ok(longest.clone()));
    assert_eq!(pack(&(longest + "x"), ""), Err(NotPacked::TooLong));
    for length in [UNPACKED_BYTES_MAX + 1, 64 * UNPACKED_BYTES_MAX] {
        assert_eq!(unpack(&deflated(&vec![b'x'; length], ""), ""), Err(NotPacked::TooLong));
    }
}

#[test]
fn a_record_that_is_damaged_or_of_another_item_is_noticed() {
    let packed = pack(RECORD, "launch/r").expect("is short");
    assert_eq!(unpack(&packed, "launch/r").as_deref(), Ok(RECORD));
    let reason = |packed: &[u8], known: &str| match unpack(packed, known) {
        Err(NotPacked::Other(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&packed[..packed.len() - 1], "launch/r"), "its end is missing");
    assert_eq!(reason(&[], "launch/r"), "its end is missing");
    assert!(!reason(&packed, "launch/s").is_empty());
    let mut flipped = packed.clone();
    *flipped.last_mut().expect("is not empty") ^= 1;
    assert!(!reason(&flipped, "launch/r").is_empty());
    assert!(reason(&deflated(&[0xff], ""), "").contains("utf-8"));
}

#[test]
fn what_earlier_versions_have_packed_is_unpacked() {
    let packed = STANDARD.decode("ePk+tl/Bw1uzFqFVrWBtsPoVpBupji1RqgUAYuUVag==").expect("is base64");
    assert_eq!(unpack(&packed, "launch/r/2026-01-31/0af1").as_deref(), Ok(RECORD), "{}", {
        STANDARD.encode(pack(RECORD, "launch/r/2026-01-31/0af1").expect("is short"))
    });
}

#[test]
fn the_dictionary_fits_into_a_window_of_deflate() {
    // What is further back is not found.
    assert!(TYPICAL.len() < 16 << 10, "{} bytes", TYPICAL.len());
}
