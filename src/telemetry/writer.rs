//! Where log lines go: a queue and a thread of tracing-appender, so that no request waits for the log's reader.

use std::io::{self, BufWriter, Write};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that wait while the reader of the log is slow; further ones are dropped. About 2 MiB.
const QUEUED_LINES: usize = 8_192;
/// How long lines gather after those before were written. A plan from the cache would otherwise spend a third of its
/// processor time on waking this thread for its line.
const GATHERING: Duration = Duration::from_millis(5);
/// How long the end of the process waits for a reader that has stopped reading.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Writes the last lines of the log when it is dropped.
#[must_use = "without it the last lines of the log are lost"]
#[derive(Debug)]
pub struct LogGuard(Option<WorkerGuard>);

impl Drop for LogGuard {
    fn drop(&mut self) {
        let Some(worker) = self.0.take() else { return };
        // In a thread of its own: with a full queue the crate prints a message, which itself waits for the reader.
        let (finished, finish) = channel();
        thread::spawn(move || {
            drop(worker);
            let _ = finished.send(());
        });
        let _ = finish.recv_timeout(FLUSH_TIMEOUT);
    }
}

/// A writer that queues lines for `output`, and the guard that flushes it.
pub(super) fn queued(output: impl Write + Send + 'static) -> (NonBlocking, LogGuard) {
    let dropped = Arc::default();
    // The worker flushes when its queue is empty; lines that gather until then share a system call.
    let output =
        ReportingWriter { output: BufWriter::new(output), dropped: Arc::clone(&dropped), reported: 0 };
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUED_LINES)
        .thread_name("log")
        .finish(output);
    let _ = dropped.set(writer.error_counter());
    (writer, LogGuard(Some(guard)))
}

/// Warns after a flush when lines were dropped since the last one.
struct ReportingWriter<W> {
    output: W,
    /// Set once the queue exists.
    dropped: Arc<OnceLock<ErrorCounter>>,
    reported: usize,
}

impl<W: Write> Write for ReportingWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.output.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()?;
        let dropped = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        if dropped > self.reported {
            let lines = dropped - self.reported;
            self.reported = dropped;
            tracing::warn!(lines, "log lines were dropped because the log's reader was too slow");
        }
        thread::sleep(GATHERING);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender};
    use std::time::Instant;

    use super::*;
    use crate::telemetry::settings::{LogFormat, LogLevel};
    use crate::telemetry::tests::logged;

    /// An output that writes only while it is allowed to.
    struct SlowOutput {
        allowed: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for SlowOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.allowed.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (NonBlocking, LogGuard, Sender<()>, Receiver<Vec<u8>>) {
        let ((allow, allowed), (written, batches)) = (channel(), channel());
        let (writer, guard) = queued(SlowOutput { allowed, written });
        (writer, guard, allow, batches)
    }

    #[test]
    fn the_guard_writes_the_last_lines_in_order() {
        let (mut writer, guard, allow, batches) = slow();
        for line in ["one\n", "two\n", "three\n"] {
            writer.write_all(line.as_bytes()).expect("a queue");
        }
        drop(allow);
        drop(guard);
        assert_eq!(batches.try_iter().collect::<Vec<_>>().concat(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_reader_that_stops_reading_blocks_nobody_and_the_loss_is_reported_once() {
        let (mut writer, guard, allow, _batches) = slow();
        let began = Instant::now();
        for _ in 0..2 * QUEUED_LINES {
            writer.write_all(&[b'x'; 256]).expect("a queue");
        }
        let counter = writer.error_counter();
        assert!(counter.dropped_lines() > QUEUED_LINES / 2, "{}", counter.dropped_lines());
        drop(guard);
        assert!(began.elapsed() < FLUSH_TIMEOUT * 2, "the end does not wait for ever");
        drop(allow);
        let dropped = Arc::new(OnceLock::from(counter));
        let mut reporting = ReportingWriter { output: io::sink(), dropped, reported: 0 };
        let flush_twice = || (0..2).for_each(|_| reporting.flush().expect("a sink"));
        let text = logged(LogLevel::Info, LogFormat::Json, flush_twice);
        assert_eq!(text.matches("log lines were dropped").count(), 1, "{text}");
    }
}
