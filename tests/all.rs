//! What no single crate can promise, as one binary with modules: built and linked once.

mod architecture;
mod tidy;
