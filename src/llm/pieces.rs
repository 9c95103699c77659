//! A call's body in pieces: what stands in every call is shared with it, and not copied.

use std::io;
use std::mem::take;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

/// The shortest value that is not copied, in bytes: JSON is written in many small pieces, which need no look.
const LEAST_SHARED: usize = 256;

/// A body that is sent piece by piece.
#[derive(Default)]
pub(super) struct Pieces(Vec<Bytes>);

impl Pieces {
    /// `value` as JSON, in which the `shared` values are not copied.
    pub(super) fn of<'a>(value: &impl Serialize, shared: impl Iterator<Item = &'a Arc<RawValue>>) -> Self {
        let mut writer = Writer { shared: shared.collect(), ..Writer::default() };
        serde_json::to_writer(&mut writer, value).expect("texts and numbers serialise");
        writer.finish()
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Takes JSON as it is written, and knows shared values by where they are in memory.
#[derive(Default)]
struct Writer<'a> {
    shared: Vec<&'a Arc<RawValue>>,
    pieces: Pieces,
    /// What was written since the last shared value.
    text: Vec<u8>,
}

impl Writer<'_> {
    fn finish(mut self) -> Pieces {
        self.pieces.0.push(self.text.into());
        self.pieces
    }
}

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() >= LEAST_SHARED
            && let Some(value) = self.shared.iter().find(|value| std::ptr::eq(value.get().as_bytes(), bytes))
        {
            self.pieces.0.push(take(&mut self.text).into());
            self.pieces.0.push(Bytes::from_owner(Shared(Arc::clone(value))));
        } else {
            self.text.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Shared(Arc<RawValue>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.get().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    #[test]
    fn shared_values_are_sent_without_being_copied() {
        let known: Arc<RawValue> = to_raw_value(&"long".repeat(LEAST_SHARED)).expect("JSON").into();
        let other: Arc<RawValue> = to_raw_value(&json!({"b": [1]})).expect("JSON").into();
        let value = (1, &known, "text", &other, &known);
        let body = Pieces::of(&value, [&known].into_iter());
        assert_eq!(body.bytes(), serde_json::to_vec(&value).expect("JSON").len());
        let pieces: Vec<&[u8]> = body.0.iter().map(|piece| &**piece).collect();
        assert_eq!(pieces.concat(), serde_json::to_vec(&value).expect("JSON"));
        assert_eq!(pieces.len(), 5);
        assert!(std::ptr::eq(pieces[1], known.get().as_bytes()) && std::ptr::eq(pieces[3], pieces[1]));
    }
}
