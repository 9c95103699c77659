//! What a person sees of a plan while it is made: the steps as they come, and below them who is at work.
//!
//! It is drawn on standard error, and gone when the plan is there. Steps are a preview: with each first step those before
//! are void. Where standard error is no terminal, or one that cannot move its cursor, nothing is drawn.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::{Term, measure_text_width, truncate_str};

use crate::domain::SubTask;

use super::render::{self, Colours, visible};

/// How often what moves is drawn anew.
pub(super) const TICK: Duration = Duration::from_millis(100);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Standard error, which what is logged goes through too, so that it stands above the steps and not among them.
#[derive(Debug, Clone)]
pub(super) struct Screen(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    term: Term,
    colours: Colours,
    model: String,
    /// `None` before anything is to be seen, and after.
    since: Option<Instant>,
    steps: Vec<SubTask>,
    /// The columns of each line that is drawn.
    drawn: Vec<usize>,
}

impl Screen {
    pub(super) fn new(colours: Colours) -> Self {
        let term = Term::buffered_stderr();
        let (model, since, steps, drawn) = (String::new(), None, Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(State { term, colours, model, since, steps, drawn })))
    }

    /// Whether steps can be drawn.
    pub(super) fn is_visible(&self) -> bool {
        self.state().term.is_term() && !console::is_dumb()
    }

    pub(super) fn has_colours(&self) -> bool {
        self.state().colours.are_on()
    }

    /// From now on, `model` is at work. Nothing is drawn before the first [`tick`](Self::tick) or step.
    pub(super) fn begin(&self, model: &str) {
        let mut state = self.state();
        state.model = visible(model);
        state.since = Some(Instant::now());
    }

    /// Draws one more step; a first one in the stead of all that are there.
    pub(super) fn show(&self, step: SubTask) {
        let mut state = self.state();
        state.steps.retain(|earlier| earlier.step < step.step);
        state.steps.push(step);
        state.draw();
    }

    /// Draws what moves.
    pub(super) fn tick(&self) {
        self.state().draw();
    }

    /// Nothing is to be seen any more.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.since = None;
        state.draw();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Draws all lines in the stead of those that are there. Nobody is left to tell when that fails.
    fn draw(&mut self) {
        let lines = self.lines();
        let _ = self.erase().and_then(|()| {
            self.term.write_all(lines.join("\n").as_bytes())?;
            self.term.flush()
        });
        self.drawn = lines.iter().map(|line| measure_text_width(line)).collect();
    }

    /// As many of the last lines as the terminal has rows, none as wide as it.
    fn lines(&self) -> Vec<String> {
        let Some(since) = self.since else { return Vec::new() };
        let elapsed = since.elapsed();
        let spinner = SPINNER[(elapsed.as_millis() / TICK.as_millis()) as usize % SPINNER.len()];
        let at_work = format!("{spinner} planning with {} · {} s", self.model, elapsed.as_secs());
        let (rows, columns) = self.term.size();
        let steps = self.steps.iter().map(|step| render::line(step, self.colours));
        let lines: Vec<String> = steps.chain([at_work]).collect();
        let first = lines.len().saturating_sub(rows.into());
        let width = usize::from(columns).saturating_sub(1);
        lines[first..].iter().map(|line| truncate_str(line, width, "…").into_owned()).collect()
    }

    /// Moves the cursor to where the drawn lines begin, and clears what is below.
    fn erase(&self) -> io::Result<()> {
        let columns = usize::from(self.term.size().1).max(1);
        // A terminal that was made narrower has broken them.
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        if rows == 0 {
            return Ok(());
        }
        self.term.move_cursor_up(rows - 1)?;
        (&self.term).write_all(b"\r")?;
        self.term.clear_to_end_of_screen()
    }
}

impl Write for Screen {
    /// Writes whole lines above what is drawn.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        state.erase()?;
        state.drawn.clear();
        state.term.write_all(lines)?;
        state.draw();
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.state().term.flush()
    }
}
