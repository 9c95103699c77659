//! What a terminal shows while a plan is made: the steps so far, and below them a spinner with the model.
//!
//! It is drawn on standard error and removed when the plan is complete. Steps are provisional: a new first step replaces
//! those of the answer before. Nothing is drawn if standard error is not a terminal that can move the cursor.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::SubTask;

use super::render::{self, Colours, visible};

/// How often the spinner moves.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// The drawing on standard error. Log lines go through it, so that they appear above the drawing.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    bars: MultiProgress,
    colours: Colours,
    drawn: Arc<Mutex<Drawn>>,
}

#[derive(Debug, Default)]
struct Drawn {
    spinner: Option<ProgressBar>,
    /// Each step with its bar, which is a line of text.
    steps: Vec<(u32, ProgressBar)>,
    columns: usize,
}

impl Progress {
    pub(super) fn new(colours: Colours) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { bars, colours, drawn: Arc::default() }
    }

    /// Whether anything is drawn.
    pub(super) fn is_visible(&self) -> bool {
        !self.bars.is_hidden()
    }

    pub(super) fn has_colours(&self) -> bool {
        self.colours.are_on()
    }

    /// Draws the spinner for `model`.
    pub(super) fn begin(&self, model: &str) {
        let style = style("{spinner} planning with {wide_msg}").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ");
        let mut drawn = self.drawn();
        drawn.columns = columns();
        let spinner = ProgressBar::new_spinner().with_style(style).with_message(visible(model));
        drawn.spinner = Some(self.bars.add(spinner));
    }

    /// Draws one more step; a first one replaces all others.
    pub(super) fn show(&self, step: &SubTask) {
        let mut drawn = self.drawn();
        let Some(spinner) = drawn.spinner.clone() else { return };
        let room = usize::from(Term::stderr().size().0).saturating_sub(1).max(1);
        while drawn.steps.last().is_some_and(|(number, _)| *number >= step.step) {
            drawn.steps.pop().inspect(|(_, bar)| self.bars.remove(bar));
        }
        while drawn.steps.len() >= room {
            self.bars.remove(&drawn.steps.remove(0).1);
        }
        let bar = ProgressBar::new_spinner().with_style(style("{wide_msg}"));
        let bar = self.bars.insert_before(&spinner, bar.with_message(render::line(step, self.colours)));
        bar.tick();
        drawn.steps.push((step.step, bar));
    }

    /// Moves the spinner.
    pub(super) fn tick(&self) {
        let mut drawn = self.drawn();
        if drawn.adapt_to_width() {
            drawn.steps.iter().for_each(|(_, bar)| bar.tick());
        }
        if let Some(spinner) = &drawn.spinner {
            spinner.tick();
        }
    }

    /// Removes the drawing.
    pub(super) fn end(&self) {
        let mut drawn = self.drawn();
        drawn.adapt_to_width();
        drawn.steps.drain(..).for_each(|(_, bar)| self.bars.remove(&bar));
        if let Some(spinner) = drawn.spinner.take() {
            spinner.finish_and_clear();
        }
    }

    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drawn {
    /// Whether the width of the terminal has changed. One that was made narrower has wrapped the lines, of which
    /// indicatif would clear one row each.
    fn adapt_to_width(&mut self) -> bool {
        let (before, now) = (self.columns, columns());
        self.columns = now;
        if self.spinner.is_some() && now < before {
            let lines = self.steps.len() + 1;
            let term = Term::stderr();
            let _ = term.move_cursor_up((lines * before).div_ceil(now) - lines);
            let _ = term.clear_to_end_of_screen();
        }
        now != before
    }
}

fn columns() -> usize {
    usize::from(Term::stderr().size().1).max(1)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a template of ours")
}

impl Write for Progress {
    /// Writes whole lines above the drawing.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write_all(lines)).map(|()| lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
