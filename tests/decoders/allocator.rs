//! Counts the memory that one thread takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with what the current thread holds counted beside.
#[derive(Debug)]
pub(crate) struct Counting;

thread_local! {
    /// Bytes held now, and the most that were held at once.
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn take(bytes: usize) {
    // A thread that ends frees after its counter is gone.
    HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = now.saturating_add(bytes);
        held.set((now, most.max(now)));
    })
    .ok();
}

fn give(bytes: usize) {
    HELD.try_with(|held| held.set((held.get().0.saturating_sub(bytes), held.get().1))).ok();
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its interface; it passes everything on")]
// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Where it cannot grow in place both are there for a moment.
        take(size);
        give(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What `work` returns, and the most memory that it held at once beyond what was held before, in bytes.
pub(crate) fn measured<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.with(|held| {
        let (now, _) = held.get();
        held.set((now, now));
        now
    });
    let value = work();
    let (_, most) = HELD.with(Cell::get);
    (value, most.saturating_sub(before))
}
