//! Reads as much of `PromQL` as it takes to know what an expression asks for.

/// What an expression asks for.
#[derive(Debug, PartialEq)]
pub struct Query {
    /// The series that it selects.
    pub selectors: Vec<Selector>,
    /// The labels that it names to keep or to match by.
    pub kept: Vec<String>,
    /// Whether it makes one of many series, which leaves the labels alone that it names.
    pub is_aggregated: bool,
}

const AGGREGATIONS: [&str; 6] = ["sum", "min", "max", "avg", "count", "group"];

/// The series of one metric.
#[derive(Debug, PartialEq)]
pub struct Selector {
    pub metric: String,
    /// Labels with the values that they are compared with.
    pub matchers: Vec<(String, Vec<String>)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name or keyword.
    Word(String),
    /// What stands in quotes.
    Text(String),
    /// A number or duration.
    Number,
    /// Any other character.
    Sign(char),
}

/// Reads a well-formed expression.
pub fn read(expression: &str) -> Query {
    let tokens = tokens(expression);
    let mut query = Query { selectors: Vec::new(), kept: Vec::new(), is_aggregated: false };
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let Token::Word(word) = token else { continue };
        let next = tokens.get(at);
        match word.as_str() {
            "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" => {
                let list = until(&tokens[at..], ')');
                at += list.len();
                query.kept.extend(list.iter().filter_map(|token| match token {
                    Token::Word(label) => Some(label.clone()),
                    _ => None,
                }));
            }
            "and" | "or" | "unless" | "bool" | "offset" => {}
            _ if is_call(next) => query.is_aggregated |= AGGREGATIONS.contains(&word.as_str()),
            _ => {
                let mut matchers = Vec::new();
                if next == Some(&Token::Sign('{')) {
                    let list = until(&tokens[at..], '}');
                    at += list.len();
                    matchers = labels(list);
                }
                query.selectors.push(Selector { metric: word.clone(), matchers });
            }
        }
    }
    query
}

/// Whether the word before `next` is a function or an aggregation.
fn is_call(next: Option<&Token>) -> bool {
    match next {
        Some(Token::Sign(sign)) => *sign == '(',
        Some(Token::Word(word)) => word == "by" || word == "without",
        _ => false,
    }
}

/// The tokens before `end`.
fn until(tokens: &[Token], end: char) -> &[Token] {
    let end = tokens.iter().position(|token| *token == Token::Sign(end)).expect("the end of a list");
    &tokens[..end]
}

fn labels(list: &[Token]) -> Vec<(String, Vec<String>)> {
    let mut labels: Vec<(String, Vec<String>)> = Vec::new();
    for token in list {
        match (token, labels.last_mut()) {
            (Token::Word(label), _) => labels.push((label.clone(), Vec::new())),
            (Token::Text(values), Some(label)) => label.1 = values.split('|').map(str::to_owned).collect(),
            _ => {}
        }
    }
    labels
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length_of = |is_part: fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (token, length) = match first {
            '"' => {
                let text = rest[1..].split('"').next().expect("a first part");
                (Token::Text(text.to_owned()), text.len() + 2)
            }
            '0'..='9' => (Token::Number, length_of(|c| is_word(c) || c == '.')),
            '$' => (Token::Number, 1 + rest[1..].find(|c: char| !is_word(c)).unwrap_or(rest.len() - 1)),
            _ if is_word(first) => {
                let length = length_of(is_word);
                (Token::Word(rest[..length].to_owned()), length)
            }
            _ => (Token::Sign(first), first.len_utf8()),
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

#[test]
fn metrics_and_labels_are_found_in_an_expression() {
    let query = read(
        "1 - sum by (job, le) (rate(a_total{x=~\"p|q\", y!=\"r\"}[$__rate_interval])) / on (job) b:c offset 5m \
         unless max_over_time(d[1h:5m]) > 1.5e9 or vector(0)",
    );
    let matchers = [("x", vec!["p", "q"]), ("y", vec!["r"])]
        .map(|(label, values)| (label.to_owned(), values.into_iter().map(str::to_owned).collect()));
    let selector = |metric: &str, matchers: &[(String, Vec<String>)]| Selector {
        metric: metric.to_owned(),
        matchers: matchers.to_vec(),
    };
    assert_eq!(query.selectors, [selector("a_total", &matchers), selector("b:c", &[]), selector("d", &[])]);
    assert_eq!(query.kept, ["job", "le", "job"]);
    assert!(query.is_aggregated && !read("rate(a[5m]) > 1").is_aggregated);
}
