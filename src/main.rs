//! The `planner-arm` binary.

use std::process::ExitCode;

/// glibc's allocator spends a third of a plan's processor time in its locks when two threads are busy.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    planner_arm::app::run()
}
