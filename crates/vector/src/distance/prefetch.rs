//! Prefetching memory into the processor's cache.

/// Prefetches the cache lines of a slice, if the processor supports it.
#[inline]
pub fn prefetch<T>(values: &[T]) {
    prefetch_at(values.as_ptr(), size_of_val(values));
}

/// As [`prefetch`], for so many bytes that others may be changing. None is read, so any address is allowed.
#[inline]
pub fn prefetch_at<T>(start: *const T, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..bytes).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which does nothing where there is no memory.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.cast::<i8>().wrapping_add(line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, bytes);
}
