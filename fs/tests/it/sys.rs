//! An allocator that counts what each thread asks of it.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has allocated or freed so far.
pub(crate) fn allocations() -> u64 {
    COUNT.get()
}

struct Counting;

fn count() {
    // At the end of a thread its counter may be gone; nobody asks for it then.
    let _gone = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes unchanged to the system's allocator, which keeps GlobalAlloc's contract;
// counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the pointer came from `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
