//! Asking for memory before it is needed.

/// Bytes that the processor moves at a time.
const LINE: usize = 64;

/// Begins to load some bytes. Only a hint: any address will do, nothing is read.
#[inline(always)]
pub fn prefetch(from: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..len).step_by(LINE) {
        // SAFETY: a prefetch never faults.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(from.wrapping_add(at).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (from, len, LINE);
}
