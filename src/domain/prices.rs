//! What models cost: a dated list, whose entries the settings file adds to or replaces.

use serde::Deserialize;

/// The day on which the built-in prices were those of OpenAI's public list. They change, and a list in
/// a program does not: the setting `prices` says what is really paid.
pub const BUILT_IN_AS_OF: &str = "2025-09-01";

/// The highest price that a setting may have, in US dollars for a million tokens.
const MAX_USD_PER_MILLION: f64 = 1_000_000.0;

/// The provider of the built-in models, as routers write it before a model's id.
const PROVIDER: &str = "openai";

/// Models, and US dollars for a million tokens of the prompt and of the completion, at the standard rate
/// without discounts. Snapshots are listed only if their price differs from that of their model.
const BUILT_IN: [(&str, f64, f64); 22] = [
    ("gpt-3.5-turbo", 0.5, 1.5),
    ("gpt-3.5-turbo-1106", 1.0, 2.0),
    ("gpt-3.5-turbo-0613", 1.5, 2.0),
    ("gpt-4", 30.0, 60.0),
    ("gpt-4-turbo", 10.0, 30.0),
    ("gpt-4-0125-preview", 10.0, 30.0),
    ("gpt-4-1106-preview", 10.0, 30.0),
    ("gpt-4o", 2.5, 10.0),
    ("gpt-4o-2024-05-13", 5.0, 15.0),
    ("gpt-4o-mini", 0.15, 0.6),
    ("chatgpt-4o-latest", 5.0, 15.0),
    ("gpt-4.1", 2.0, 8.0),
    ("gpt-4.1-mini", 0.4, 1.6),
    ("gpt-4.1-nano", 0.1, 0.4),
    ("gpt-5", 1.25, 10.0),
    ("gpt-5-chat-latest", 1.25, 10.0),
    ("gpt-5-mini", 0.25, 2.0),
    ("gpt-5-nano", 0.05, 0.4),
    ("o1", 15.0, 60.0),
    ("o3", 2.0, 8.0),
    ("o3-mini", 1.1, 4.4),
    ("o4-mini", 1.1, 4.4),
];

/// What one model costs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The model's id, as the LLM server knows it.
    pub model: String,
    /// US dollars for a million tokens of the prompt, 0 to 1,000,000.
    pub prompt_usd_per_million: f64,
    /// US dollars for a million tokens of the completion, 0 to 1,000,000.
    pub completion_usd_per_million: f64,
    /// The day on which that was the price, such as `2025-09-01`.
    #[serde(default)]
    pub as_of: Option<String>,
}

impl Price {
    /// What an answer costs, in US dollars; `None` when the server did not count what has to be paid for.
    pub fn of(&self, prompt_tokens: u64, completion_tokens: u64) -> Option<f64> {
        let part = |tokens: u64, usd_per_million: f64| {
            (tokens > 0 || usd_per_million == 0.0).then(|| tokens as f64 * usd_per_million / 1e6)
        };
        let prompt = part(prompt_tokens, self.prompt_usd_per_million)?;
        Some(prompt + part(completion_tokens, self.completion_usd_per_million)?)
    }

    /// The cost of a call with these token counts, in US dollars.
    pub fn at_most(&self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        (prompt_tokens as f64 * self.prompt_usd_per_million
            + completion_tokens as f64 * self.completion_usd_per_million)
            / 1e6
    }

    fn faults(&self, place: &str) -> Vec<String> {
        let mut faults = Vec::new();
        if self.model.trim().is_empty() {
            faults.push(format!("{place}.model is blank"));
        } else if self.model.trim() != self.model || self.model.chars().any(char::is_control) {
            faults.push(format!("{place}.model has white space around it or a control character in it"));
        }
        for (field, usd) in [
            ("prompt_usd_per_million", self.prompt_usd_per_million),
            ("completion_usd_per_million", self.completion_usd_per_million),
        ] {
            if !(0.0..=MAX_USD_PER_MILLION).contains(&usd) {
                faults.push(format!(
                    "{place}.{field} is {usd}; it must be a number from 0 to {MAX_USD_PER_MILLION}"
                ));
            }
        }
        if let Some(date) = self.as_of.as_ref().filter(|date| !is_date(date)) {
            faults.push(format!("{place}.as_of is \"{date}\"; it must be a date such as {BUILT_IN_AS_OF}"));
        }
        faults
    }
}

/// As in the settings' own words: `0.5/1.5 (2025-09-01)`.
impl std::fmt::Display for Price {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.prompt_usd_per_million, self.completion_usd_per_million)?;
        self.as_of.as_ref().map_or(Ok(()), |date| write!(f, " ({date})"))
    }
}

/// The prices of an installation.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceList {
    /// Its own before the built-in ones, so that the first of a model is the one that counts.
    prices: Vec<Price>,
}

impl PriceList {
    /// The built-in prices with `own` ones, which count where both have a model.
    ///
    /// # Errors
    /// Every fault of `own`, one sentence each.
    pub fn new(own: Vec<Price>) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        for (index, price) in own.iter().enumerate() {
            let place = format!("prices[{index}]");
            faults.extend(price.faults(&place));
            if own[..index].iter().any(|earlier| earlier.model == price.model) {
                faults.push(format!("{place}.model `{}` is listed twice", price.model));
            }
        }
        let built_in = BUILT_IN.map(|(model, prompt, completion)| Price {
            model: model.to_owned(),
            prompt_usd_per_million: prompt,
            completion_usd_per_million: completion,
            as_of: Some(BUILT_IN_AS_OF.to_owned()),
        });
        let prices = own.into_iter().chain(built_in).collect();
        if faults.is_empty() { Ok(Self { prices }) } else { Err(faults) }
    }

    /// The price of `model`: by its exact id, else without the provider that routers write before
    /// it (`openai/gpt-4o`), without the date of a snapshot after it (`gpt-4o-2024-08-06`), or without both.
    pub fn get(&self, model: &str) -> Option<&Price> {
        let exactly = |id: &str| self.prices.iter().find(|price| price.model == id);
        let bare = without_provider(model);
        let ids = [model, bare, without_date(model), without_date(bare)];
        ids.into_iter().find_map(exactly)
    }

    /// Stands in for an unknown price: the highest prompt price and the highest completion price of the list.
    pub fn highest_price(&self) -> Price {
        let highest = |of: fn(&Price) -> f64| self.prices.iter().map(of).fold(0.0, f64::max);
        Price {
            model: String::new(),
            prompt_usd_per_million: highest(|price| price.prompt_usd_per_million),
            completion_usd_per_million: highest(|price| price.completion_usd_per_million),
            as_of: None,
        }
    }
}

impl Default for PriceList {
    /// The built-in prices alone.
    fn default() -> Self {
        Self::new(Vec::new()).expect("the built-in prices are in order")
    }
}

/// A sum in US dollars as it is reported: rounded to a hundred-millionth, to hide floating-point errors. A token of
/// the cheapest built-in model costs five of these.
pub fn rounded_usd(usd: f64) -> f64 {
    (usd * 1e8).round() / 1e8
}

fn without_provider(model: &str) -> &str {
    match model.rsplit_once('/') {
        Some((path, id)) if path.rsplit('/').next() == Some(PROVIDER) => id,
        _ => model,
    }
}

/// `model` without the date of a snapshot: `-2024-08-06` or, as it was at first, `-0125`.
fn without_date(model: &str) -> &str {
    if let Some((id, date)) = model.len().checked_sub(11).and_then(|at| model.split_at_checked(at))
        && date.strip_prefix('-').is_some_and(is_date)
    {
        return id;
    }
    match model.rsplit_once('-') {
        Some((id, date)) if is_day(date) => id,
        _ => model,
    }
}

/// Whether `text` is a day of any year, such as `0125`.
fn is_day(text: &str) -> bool {
    text.split_at_checked(2).is_some_and(|(month, day)| is_date(&format!("2024-{month}-{day}")))
}

/// Whether `text` is a day of the calendar, such as `2025-09-01`.
fn is_date(text: &str) -> bool {
    text.len() == 10 && humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(model: &str, prompt: f64, completion: f64) -> Price {
        Price {
            model: model.into(),
            prompt_usd_per_million: prompt,
            completion_usd_per_million: completion,
            as_of: None,
        }
    }

    #[test]
    fn a_price_is_found_by_id_snapshot_and_router_and_never_by_similarity() {
        let own = vec![
            price("gpt-4o", 1.0, 2.0),
            price("meta/llama-3", 3.0, 4.0),
            price("acme-2025-01-01", 5.0, 6.0),
        ];
        let list = PriceList::new(own).expect("prices");
        for (model, found) in [
            ("gpt-3.5-turbo", Some("0.5/1.5 (2025-09-01)")),
            ("gpt-3.5-turbo-0125", Some("0.5/1.5 (2025-09-01)")),
            ("gpt-3.5-turbo-1106", Some("1/2 (2025-09-01)")),
            ("gpt-3.5-turbo-16k", None),
            ("gpt-3.5-turbo-4096", None),
            ("gpt-3.5-turbo-01é", None),
            ("gpt-3.5-turbo-instruct", None),
            ("gpt-4o-mini", Some("0.15/0.6 (2025-09-01)")),
            ("gpt-4o-mini-2024-07-18", Some("0.15/0.6 (2025-09-01)")),
            ("openai/gpt-4o-mini", Some("0.15/0.6 (2025-09-01)")),
            ("openrouter/openai/gpt-4o-mini-2024-07-18", Some("0.15/0.6 (2025-09-01)")),
            ("gpt-4o", Some("1/2")),
            ("gpt-4o-2024-08-06", Some("1/2")),
            ("gpt-4o-2024-05-13", Some("5/15 (2025-09-01)")),
            ("openai/gpt-4o-2024-05-13", Some("5/15 (2025-09-01)")),
            ("gpt-4o-2024-02-30", None),
            ("gpt-4o-audio-preview", None),
            ("gpt-4o-mini-2", None),
            ("GPT-4o", None),
            ("gpt-5", Some("1.25/10 (2025-09-01)")),
            ("gpt-5-pro", None),
            ("someone/gpt-5", None),
            ("notopenai/gpt-5", None),
            ("openai/", None),
            ("meta/llama-3", Some("3/4")),
            ("meta/llama-3-2025-02-03", Some("3/4")),
            ("llama-3", None),
            ("acme-2025-01-01", Some("5/6")),
            ("acme-2025-01-02", None),
            ("acme", None),
            ("-2024-08-06", None),
            ("モデル-2024-08-06", None),
            ("", None),
        ] {
            let price = list.get(model).map(ToString::to_string);
            assert_eq!(price.as_deref(), found, "{model}");
        }
    }

    #[test]
    fn the_built_in_prices_are_a_list_as_anybody_may_write_it() {
        let built_in = PriceList::default().prices;
        assert_eq!(PriceList::new(built_in.clone()).map(|list| list.prices.len()), Ok(2 * built_in.len()));
    }

    #[test]
    fn an_answer_costs_its_tokens_where_they_were_counted() {
        let turbo = price("m", 0.5, 1.5);
        assert_eq!(turbo.of(420, 510).map(rounded_usd), Some(0.000_975));
        assert_eq!((turbo.of(0, 510), turbo.of(420, 0), turbo.of(0, 0)), (None, None, None));
        assert_eq!(price("m", 0.0, 1.5).of(0, 2).map(rounded_usd), Some(0.000_003), "nothing to count there");
        assert_eq!(price("m", 0.0, 0.0).of(0, 0), Some(0.0));
        assert!(
            price("m", MAX_USD_PER_MILLION, MAX_USD_PER_MILLION)
                .of(u64::MAX, u64::MAX)
                .is_some_and(f64::is_finite)
        );
    }

    #[test]
    fn an_unknown_price_is_taken_to_be_the_highest() {
        assert_eq!(PriceList::default().highest_price().to_string(), "30/60");
        let own = PriceList::new(vec![price("a", 40.0, 50.0)]).expect("prices");
        assert_eq!(own.highest_price().to_string(), "40/60");
    }

    #[test]
    fn sums_are_rounded() {
        for (sum, said) in
            [(0.1 + 0.2, "0.3"), (0.000_975_000_000_000_000_1, "0.000975"), (5e-8, "5e-8"), (0.0, "0.0")]
        {
            assert_eq!(format!("{:?}", rounded_usd(sum)), said);
        }
    }

    #[test]
    fn every_fault_of_a_price_is_named() {
        let bad = vec![
            Price { as_of: Some("2025-02-29".into()), ..price(" ", -1.0, f64::NAN) },
            Price { as_of: Some("yesterday".into()), ..price("a", f64::INFINITY, 1e7) },
            Price { as_of: Some("2024-02-29".into()), ..price("a", 0.0, MAX_USD_PER_MILLION) },
            price("b\n", 1.0, 1.0),
        ];
        assert_eq!(
            PriceList::new(bad).expect_err("bad prices"),
            [
                "prices[0].model is blank",
                "prices[0].prompt_usd_per_million is -1; it must be a number from 0 to 1000000",
                "prices[0].completion_usd_per_million is NaN; it must be a number from 0 to 1000000",
                "prices[0].as_of is \"2025-02-29\"; it must be a date such as 2025-09-01",
                "prices[1].prompt_usd_per_million is inf; it must be a number from 0 to 1000000",
                "prices[1].completion_usd_per_million is 10000000; it must be a number from 0 to 1000000",
                "prices[1].as_of is \"yesterday\"; it must be a date such as 2025-09-01",
                "prices[2].model `a` is listed twice",
                "prices[3].model has white space around it or a control character in it",
            ]
        );
    }
}
