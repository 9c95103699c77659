//! The `planner-arm` binary.

use std::process::ExitCode;

/// glibc's allocator spends a third of a plan's processor time in its locks when two threads are busy.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One thread does it all: a plan takes less of it than handing the plan from one thread to another. What
/// takes long (reading a huge answer, names of hosts) has threads of its own.
fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let code = runtime.block_on(planner_arm::cli::run());
    // A thread that waits for standard input ends with the next line of it, which may never come.
    runtime.shutdown_background();
    code
}
