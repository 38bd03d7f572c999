//! The binary: settings → logging → stores → cluster → listen → serve.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {}
