use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI32, Ordering};

/// Ends a child of this process on its first use.
struct Aborting;

/// The id of this process, once children are not to allocate.
static OWN: AtomicI32 = AtomicI32::new(0);

/// From here on children do not allocate.
pub(crate) fn forbid_children() {
    // SAFETY: getpid has no preconditions.
    OWN.store(unsafe { libc::getpid() }, Ordering::Relaxed);
}

fn end_in_child() {
    let own = OWN.load(Ordering::Relaxed);
    // SAFETY: neither call has preconditions.
    unsafe {
        if own != 0 && libc::getpid() != own {
            libc::_exit(86);
        }
    }
}

// SAFETY: hands every call on to the system's allocator, whose contract is the same.
unsafe impl GlobalAlloc for Aborting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        end_in_child();
        // SAFETY: the caller keeps the contract of GlobalAlloc::alloc.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        end_in_child();
        // SAFETY: the caller keeps the contract of GlobalAlloc::dealloc.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Aborting = Aborting;
