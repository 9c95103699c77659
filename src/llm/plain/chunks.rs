//! Bodies in chunks (RFC 9112, section 7.1).

use std::io::{self, ErrorKind};

/// The most bytes that can stand beside those of a body, as sizes, extensions and trailers: at once, and in the long
/// run for each of them. The smallest chunk has five for its one.
const MOST_BESIDE: usize = 16 * 1024;
const MOST_BESIDE_EACH: usize = 64;

/// Where in such a body the next byte stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    place: Place,
    /// Bytes that may stand beside the body before more of that comes.
    spare: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the size of a chunk, of which this is known; `None` at its beginning.
    Size(Option<u64>),
    /// Behind the size of a chunk, in what is said of it.
    Extension(u64),
    /// At the line feed behind the size of a chunk.
    SizeEnd(u64),
    /// In a chunk of which so much is left.
    Data(u64),
    /// At the line end behind a chunk.
    DataReturn,
    DataEnd,
    /// At the beginning of a trailer's line, and within one.
    Trailers,
    Trailer,
    /// At the line feed behind all of them.
    LastEnd,
    Over,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { place: Place::Size(None), spare: MOST_BESIDE }
    }
}

impl Chunks {
    /// Whether the body has come to its end.
    pub(super) fn are_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Puts what `input` has of the body into `body`, and gives how much of it was read: less than all at the end.
    ///
    /// # Errors
    /// When it is none, or has too much beside the body.
    pub(super) fn read(&mut self, input: &[u8], body: &mut Vec<u8>) -> io::Result<usize> {
        let mut read = 0;
        while read < input.len() && !self.are_over() {
            if let Place::Data(left) = self.place {
                let part = &input[read..];
                let part = &part[..usize::try_from(left).unwrap_or(usize::MAX).min(part.len())];
                body.extend_from_slice(part);
                read += part.len();
                let left = left - part.len() as u64;
                self.place = if left == 0 { Place::DataReturn } else { Place::Data(left) };
                self.spare = MOST_BESIDE.min(self.spare + part.len() * MOST_BESIDE_EACH);
            } else {
                self.place = self.place.behind(input[read]).ok_or(ErrorKind::InvalidData)?;
                self.spare = self.spare.checked_sub(1).ok_or(ErrorKind::InvalidData)?;
                read += 1;
            }
        }
        Ok(read)
    }
}

impl Place {
    /// The place behind `byte`, which is none of the body; `None` where it may not stand.
    fn behind(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            // Lines end in both bytes, trailers (which are left out) also in the second alone.
            (Self::Extension(_) | Self::Trailers, b'\n') => return None,
            (Self::Size(Some(size)) | Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Size(Some(size)), b';' | b' ' | b'\t') | (Self::Extension(size), _) => {
                Self::Extension(size)
            }
            (Self::Size(size), digit) => {
                let digit = char::from(digit).to_digit(16)?;
                Self::Size(Some(size.unwrap_or(0).checked_mul(16)? + u64::from(digit)))
            }
            (Self::SizeEnd(0) | Self::Trailer, b'\n') => Self::Trailers,
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size(None),
            (Self::Trailers, b'\r') => Self::LastEnd,
            (Self::Trailers | Self::Trailer, _) => Self::Trailer,
            (Self::LastEnd, b'\n') => Self::Over,
            _ => return None,
        })
    }
}
