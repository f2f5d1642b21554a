//! Some ways in which the same bytes can arrive; each has to lead to the same result.
//! All of them are too many for a fuzzer; the tests of the tables try every single cut.

/// Whole, byte by byte, and cut at two places that the bytes themselves choose.
pub(crate) fn splits(input: &[u8]) -> [Vec<usize>; 3] {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let len = input.len();
    let place = |bits: u64| usize::try_from(bits & 0xffff_ffff).expect("32 bits") % (len + 1);
    let mut cuts = vec![place(hash), place(hash >> 32), len];
    cuts.sort_unstable();
    [vec![len], (0..=len).collect(), cuts]
}
