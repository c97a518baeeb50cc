//! Reads a golden file, counts the outcomes of its cases, prints them, and holds the floor.

use std::path::PathBuf;

use serde_json::Value;

pub enum Outcome {
    Agree,
    Differ(String),
    /// The case is about a kind that windlass does not serve.
    AbsentKind,
    /// The case is about the wire (malformed bodies, content types): only the HTTP server can answer it.
    NotHere,
}

impl Outcome {
    pub fn of(difference: Option<String>) -> Self {
        difference.map_or(Self::Agree, Self::Differ)
    }
}

pub fn cases(file: &str) -> Vec<Value> {
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden-api");
    let folder = std::env::var_os("GOLDEN_API_DIR").map_or_else(|| PathBuf::from(built_in), PathBuf::from);
    let text = std::fs::read_to_string(folder.join(file)).expect("the golden file is there");
    serde_json::from_str(&text).expect("the golden file is JSON")
}

pub struct Tally {
    file: &'static str,
    agree: usize,
    differ: Vec<String>,
    absent: usize,
    not_here: usize,
}

impl Tally {
    pub fn new(file: &'static str) -> Self {
        Self { file, agree: 0, differ: Vec::new(), absent: 0, not_here: 0 }
    }

    pub fn add(&mut self, case: &Value, outcome: Outcome) {
        match outcome {
            Outcome::Agree => self.agree += 1,
            Outcome::Differ(how) => self.differ.push(format!("{}: {how}", case["name"].as_str().unwrap_or("?"))),
            Outcome::AbsentKind => self.absent += 1,
            Outcome::NotHere => self.not_here += 1,
        }
    }

    /// Prints the count and refuses to have become worse than `floor`.
    pub fn finish(self, floor: usize) {
        let total = self.agree + self.differ.len();
        let (file, agree) = (self.file, self.agree);
        println!("{file} agree {agree} of {total} (absent kind {}, for the server {})", self.absent, self.not_here);
        let named = std::env::var("GOLDEN_CASE").ok();
        let show = std::env::var("GOLDEN_SHOW").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
        let wanted = |line: &&String| named.as_ref().is_none_or(|text| line.contains(text));
        let limit = if named.is_some() { usize::MAX } else { show };
        for line in self.differ.iter().filter(wanted).take(limit) {
            println!("    {}", line.chars().take(1200).collect::<String>());
        }
        assert!(agree >= floor, "{file}: {agree} cases agree; {floor} did before");
    }
}
