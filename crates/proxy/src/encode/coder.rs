//! Encoders of content: gzip, Brotli and Zstandard behind one face of bytes in, bytes out.
//! They know nothing of messages, and keep no more memory than is said here.

use std::cell::Cell;
use std::io;

use compression_codecs::brotli::params::EncoderParams as BrotliParams;
use compression_codecs::flate::params::FlateEncoderParams;
use compression_codecs::zstd::params::CParameter;
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZstdEncoder};
use compression_core::Level;
use compression_core::util::{PartialBuffer, WriteBuffer};
use http1::Framing;
use model::Coding;

/// Encoders that a thread has at once, about 2 MiB each at most. Beyond it responses go as they
/// are: compression is never owed.
const OPEN_MAX: usize = 256;

/// As small as 6 within two percent, and what common proxies take; 0.3 MiB each.
const GZIP_LEVEL: u32 = 5;
/// The last level that takes less than 2 MiB; 4 takes 6 MiB for one percent.
const BROTLI_LEVEL: i32 = 3;
/// The library's default: half as fast as 1, which makes content a tenth larger; 1.3 MiB each.
const ZSTD_LEVEL: i32 = 3;
/// 256 KiB, as a power of two, in place of up to 16 MiB. Few responses that are text repeat
/// themselves from farther away.
const WINDOW_LOG_MAX: u32 = 18;
/// The least that both formats have in common.
const WINDOW_LOG_MIN: u32 = 10;

thread_local! {
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// An encoder of one body.
pub(super) struct Coder {
    encoder: Box<dyn EncodeV2>,
    _slot: Slot,
}

/// One of [`OPEN_MAX`].
struct Slot;

impl Slot {
    fn take() -> Option<Self> {
        let open = OPEN.get();
        (open < OPEN_MAX).then(|| {
            OPEN.set(open + 1);
            Self
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        OPEN.set(OPEN.get() - 1);
    }
}

impl Coder {
    /// An encoder for a body of this length, if it has one. None when there are too many already.
    pub(super) fn open(coding: Coding, framing: Framing) -> Option<Self> {
        let slot = Slot::take()?;
        let window_log = window_log(framing);
        let encoder: Box<dyn EncodeV2> = match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Box::new(GzipEncoder::new(FlateEncoderParams::from(level)))
            }
            Coding::Brotli => {
                let params = BrotliParams::default().quality(Level::Precise(BROTLI_LEVEL));
                let window_log = i32::try_from(window_log).unwrap_or(i32::MAX);
                Box::new(BrotliEncoder::new(params.window_size(window_log)))
            }
            Coding::Zstd => {
                let window = CParameter::window_log(window_log);
                Box::new(ZstdEncoder::new_with_params(ZSTD_LEVEL, &[window]))
            }
        };
        Some(Self { encoder, _slot: slot })
    }

    /// Takes bytes of content and gives encoded ones into the space, which is not empty: how many
    /// of each.
    pub(super) fn encode(
        &mut self,
        content: &[u8],
        space: &mut [u8],
    ) -> io::Result<(usize, usize)> {
        let mut content = PartialBuffer::new(content);
        let mut space = WriteBuffer::new_initialized(space);
        self.encoder.encode(&mut content, &mut space)?;
        Ok((content.written_len(), space.written_len()))
    }

    /// Gives what it holds back, such that everything taken so far can be decoded: how many bytes,
    /// and whether that was all.
    pub(super) fn flush(&mut self, space: &mut [u8]) -> io::Result<(usize, bool)> {
        let mut space = WriteBuffer::new_initialized(space);
        let is_done = self.encoder.flush(&mut space)?;
        Ok((space.written_len(), is_done))
    }

    /// The same, and the end.
    pub(super) fn finish(&mut self, space: &mut [u8]) -> io::Result<(usize, bool)> {
        let mut space = WriteBuffer::new_initialized(space);
        let is_done = self.encoder.finish(&mut space)?;
        Ok((space.written_len(), is_done))
    }
}

/// No more than the content can use: memory is taken for it.
fn window_log(framing: Framing) -> u32 {
    let bytes = match framing {
        Framing::Length(bytes) => bytes,
        Framing::None | Framing::Chunked | Framing::UntilClose => u64::MAX,
    };
    let log = u64::BITS - bytes.saturating_sub(1).leading_zeros();
    log.clamp(WINDOW_LOG_MIN, WINDOW_LOG_MAX)
}
