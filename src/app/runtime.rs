//! The threads that calls and deliveries are served on, and how many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

/// How far they stand behind the record's writer, as `nice` counts. Everybody who is served waits for the next commit: where the threads of a
/// small machine are all busy, the system would let the writer wait for some milliseconds each time it is woken.
const BEHIND_THE_WRITER: i32 = 5;

/// A runtime with a thread for each processor, or so many. What it is blocked on, and so the writer that is started there, runs before them.
///
/// # Errors
/// The system gives no threads.
pub fn runtime(threads: Option<usize>) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all();
    // Elsewhere it would be the whole process. A thread begins with what the thread has that starts it, so this is no step down, but a place.
    #[cfg(target_os = "linux")]
    if let Ok(before) = rustix::process::getpriority_process(None) {
        builder.on_thread_start(move || {
            // Where the system does not let them they are served no worse than before.
            let _ = rustix::process::setpriority_process(None, before + BEHIND_THE_WRITER);
        });
    }
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.build()
}

/// As many open files and connections as the system lets this process have. What it starts with is often 1024, which is meant for programs that are older
/// than connections by the thousand.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where the system does not let it, it stays as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        // Where both are the same there would be nothing to see.
        let limit = getrlimit(Resource::Nofile);
        let fewer = limit.maximum.map(|most| most - 1);
        setrlimit(Resource::Nofile, Rlimit { current: fewer, ..limit }).expect("less is always allowed");
        raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn whoever_serves_stands_behind_the_thread_that_is_blocked_on_and_none_further_than_another() {
        let mine = || rustix::process::getpriority_process(None).expect("a priority");
        let before = mine();
        let served = runtime(Some(1)).expect("threads").block_on(async move {
            assert_eq!(mine(), before, "the writer is started from here");
            tokio::spawn(async move { (mine(), tokio::task::spawn_blocking(mine).await.expect("done")) }).await
        });
        let behind = before + BEHIND_THE_WRITER;
        assert_eq!(served.expect("done"), (behind, behind), "on a worker, and on a thread that a worker starts");
    }
}
