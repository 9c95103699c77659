//! Log lines on their way out: gathered for a moment and written together, since a system call for each
//! costs more than making the line.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long lines are gathered.
const GATHERING: Duration = Duration::from_millis(20);
/// Lines beyond this are left out while the output stands still, in bytes.
const MOST_GATHERED: usize = 1024 * 1024;
/// How long the end of the process waits for an output that stands still.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Where lines are gathered. Appending never waits for the output.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    gathered: Mutex<Gathered>,
    /// There is something to write, or no more will come.
    filled: Condvar,
    /// All that was gathered is written.
    written: Condvar,
}

#[derive(Debug, Default)]
struct Gathered {
    text: Vec<u8>,
    /// Lines left out since the last that were written.
    left_out: u64,
    is_writing: bool,
    is_hurried: bool,
}

impl Lines {
    /// Lines that a thread writes to `output`.
    pub(super) fn written_to(output: impl Write + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = lines.0.clone();
        thread::Builder::new()
            .name("log".into())
            .spawn(move || shared.write_to(output))
            .expect("a thread can be started");
        lines
    }

    /// Waits until all lines so far are written, or for a moment where the output stands still.
    pub(super) fn flush(&self) {
        let mut gathered = self.0.lock();
        gathered.is_hurried = true;
        self.0.filled.notify_one();
        let is_behind = |gathered: &mut Gathered| !gathered.text.is_empty() || gathered.is_writing;
        let _ = self.0.written.wait_timeout_while(gathered, LAST_WAIT, is_behind);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        loop {
            let mut gathered = self.lock();
            gathered.is_writing = false;
            if gathered.text.is_empty() {
                self.written.notify_all();
            }
            let is_empty = |gathered: &mut Gathered| gathered.text.is_empty();
            gathered = self.filled.wait_while(gathered, is_empty).unwrap_or_else(PoisonError::into_inner);
            let is_patient = |gathered: &mut Gathered| !gathered.is_hurried;
            gathered = self
                .filled
                .wait_timeout_while(gathered, GATHERING, is_patient)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            std::mem::swap(&mut gathered.text, &mut batch);
            gathered.is_writing = true;
            let left_out = std::mem::take(&mut gathered.left_out);
            drop(gathered);
            // Nobody is left to tell when standard output is closed.
            let _ = output.write_all(&batch).and_then(|()| output.flush());
            batch.clear();
            if left_out > 0 {
                tracing::warn!(lines = left_out, "log lines were left out: the log's reader was too slow");
            }
        }
    }
}

impl Write for &Lines {
    /// Appends `line`, which must be whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut gathered = self.0.lock();
        if gathered.text.len() + line.len() > MOST_GATHERED {
            gathered.left_out += 1;
        } else {
            gathered.text.extend_from_slice(line);
            if gathered.text.len() == line.len() {
                self.0.filled.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// An output that takes a batch only when it is told to.
    struct Slow {
        may_write: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, batch: &[u8]) -> io::Result<usize> {
            let _ = self.may_write.recv();
            let _ = self.written.send(batch.to_vec());
            Ok(batch.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Lines, Sender<()>, Receiver<Vec<u8>>) {
        let (allow, may_write) = channel();
        let (written, batches) = channel();
        (Lines::written_to(Slow { may_write, written }), allow, batches)
    }

    #[test]
    fn lines_are_written_together_and_in_order() {
        let (lines, allow, batches) = slow();
        for line in ["one\n", "two\n", "three\n"] {
            (&lines).write_all(line.as_bytes()).expect("memory");
        }
        allow.send(()).expect("a writer");
        assert_eq!(batches.recv().expect("a batch"), b"one\ntwo\nthree\n");
        (&lines).write_all(b"four\n").expect("memory");
        allow.send(()).expect("a writer");
        lines.flush();
        assert_eq!(batches.try_recv().expect("flushed"), b"four\n");
    }

    #[test]
    fn an_output_that_stands_still_holds_nobody_up_and_costs_lines_instead_of_memory() {
        let (lines, allow, batches) = slow();
        let line = [b'x'; 1024];
        for _ in 0..3 * MOST_GATHERED / line.len() {
            (&lines).write_all(&line).expect("memory");
        }
        let gathered = lines.0.lock();
        assert!(gathered.text.len() <= MOST_GATHERED && gathered.left_out >= 1024, "{}", gathered.left_out);
        drop(gathered);
        drop(allow);
        lines.flush();
        let written: usize = batches.try_iter().map(|batch| batch.len()).sum();
        assert!((MOST_GATHERED..=2 * MOST_GATHERED).contains(&written), "{written}");
    }
}
