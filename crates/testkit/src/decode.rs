//! Decoders of content codings, for tests of what is compressed.
//! They decode what is there so far and say whether that was all; they repair nothing.

use compression_codecs::{BrotliDecoder, DecodeV2, GzipDecoder, ZstdDecoder};
use compression_core::util::{PartialBuffer, WriteBuffer};

/// The content of these bytes so far, and whether it is over. The bytes may end anywhere.
///
/// # Panics
///
/// When the coding is not known, or the bytes are not in it, or go on behind its end.
pub fn decode(coding: &str, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut decoder: Box<dyn DecodeV2> = match coding {
        "gzip" => Box::new(GzipDecoder::new()),
        "br" => Box::new(BrotliDecoder::new()),
        "zstd" => Box::new(ZstdDecoder::new()),
        other => panic!("no decoder of {other:?}"),
    };
    let mut input = PartialBuffer::new(bytes);
    let mut content = Vec::new();
    let mut space = [0; 4096];
    let fail = |error| panic!("not {coding}: {error}");
    loop {
        let mut output = WriteBuffer::new_initialized(&mut space);
        let is_over = decoder.decode(&mut input, &mut output).unwrap_or_else(fail);
        content.extend_from_slice(output.written());
        if is_over {
            let rest = input.unwritten();
            assert!(rest.is_empty(), "{} bytes behind the end of {coding}", rest.len());
            return (content, true);
        }
        if input.unwritten().is_empty() && output.written_len() < output.capacity() {
            return (content, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_another_encoder_made_and_tells_a_part_from_the_whole() {
        // Python's `gzip.compress(b"hello hello hello", mtime=0)`.
        let made = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\xcd\xc9\xc9W\xc8@\x90\0\x80\x88\
            \xf9\xe5\x11\0\0\0";
        assert_eq!(decode("gzip", made), (b"hello hello hello".to_vec(), true));
        let (content, is_over) = decode("gzip", &made[..made.len() - 1]);
        assert_eq!((content.as_slice(), is_over), (&b"hello hello hello"[..], false));
    }
}
