//! A plan as a Mermaid flowchart.

use std::fmt::Write as _;

use crate::domain::SubTask;
use crate::text::duration;

use super::visible_line;

/// The plan as a Mermaid flowchart, with one node for each step.
pub(in crate::cli) fn mermaid(steps: &[SubTask]) -> String {
    let mut text = String::from("flowchart LR\n");
    for step in steps {
        let _ = writeln!(
            text,
            "    s{0}[\"{0}. {1}<br/>{2} · {3}\"]",
            step.step,
            escaped(&step.action),
            escaped(&step.required_arm),
            duration(u64::from(step.estimated_duration_seconds)),
        );
    }
    for step in steps {
        for needed in &step.depends_on {
            let _ = writeln!(text, "    s{needed} --> s{}", step.step);
        }
    }
    text
}

/// `text` on one line, with characters escaped that end or restyle a quoted Mermaid label.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible_line(text).chars() {
        match c {
            '"' => safe.push_str("#quot;"),
            '#' => safe.push_str("#35;"),
            '&' => safe.push_str("#amp;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            '`' => safe.push_str("#96;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::tests::step;
    use super::*;

    #[test]
    fn steps_are_nodes_dependencies_are_edges_and_labels_are_escaped() {
        let text = mermaid(&[step(1, "Say \"hi\"] --> x[<b>#1</b>", &[]), step(2, "End", &[1])]);
        assert_eq!(
            text,
            "flowchart LR\n    \
             s1[\"1. Say #quot;hi#quot;] --#gt; x[#lt;b#gt;#35;1#lt;/b#gt;<br/>coder · 1 min 30 s\"]\n    \
             s2[\"2. End<br/>coder · 1 min 30 s\"]\n    \
             s1 --> s2\n"
        );
    }
}
