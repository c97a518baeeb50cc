//! Reads the recorded traces, counts how many steps agree, and says so on the terminal.
//!
//! The directory of the traces is `tests/data/golden-controllers`, or what `GOLDEN_CONTROLLERS_DIR` names. The floors
//! are those of our own directory: of another one the counts are printed and judged by the reader. With
//! `GOLDEN_CONTROLLERS_CASE` only the cases whose names contain it are replayed, and all their differences printed.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::compare::RACES;

/// Differences that are printed of a file.
const SHOWN: usize = 12;

fn other_directory() -> Option<PathBuf> {
    std::env::var_os("GOLDEN_CONTROLLERS_DIR").map(PathBuf::from)
}

fn only() -> Option<String> {
    std::env::var("GOLDEN_CONTROLLERS_CASE").ok()
}

/// The content of a file. Another directory than our own need not have every file.
pub fn read(file: &str) -> Vec<Value> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden-controllers");
    let path = other_directory().map_or_else(|| own.join(file), |other| other.join(file));
    let path = if path.exists() || file != "nodes.json" { path } else { own.join(file) };
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(error) if other_directory().is_some() => {
            say(&format!("{}: {error}", path.display()));
            Vec::new()
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// The cases of a file that are to be replayed.
pub fn cases(file: &str) -> Vec<Value> {
    let mut cases = read(file);
    if let Some(only) = only() {
        cases.retain(|case| case["name"].as_str().unwrap().contains(&only));
    }
    cases
}

#[derive(Default)]
pub struct Tally {
    steps: usize,
    agreed: usize,
    cases: usize,
    whole: usize,
    differences: Vec<String>,
    exceptions: Vec<Exception>,
    /// Steps that agree but for an exception.
    excepted: usize,
    /// Steps that agree but for the outcome of a race.
    races: usize,
}

/// A difference that stays, with the reason.
struct Exception {
    parts: Vec<String>,
    why: String,
}

impl Tally {
    /// With the exceptions that are argued for in `golden-controllers-exceptions.json`.
    pub fn new() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden-controllers-exceptions.json");
        let all: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let exceptions = all.iter().map(|exception| Exception {
            parts: exception["line"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect(),
            why: exception["why"].as_str().unwrap().to_owned(),
        });
        Self { exceptions: exceptions.collect(), ..Self::default() }
    }

    pub fn note_races(&mut self, steps: usize) {
        self.races += steps;
    }

    fn is_excepted(&self, line: &str) -> bool {
        self.exceptions.iter().any(|exception| exception.parts.iter().all(|part| line.contains(part)))
    }

    /// Counts a case by what differs in each of its steps.
    pub fn add(&mut self, case: &Value, steps: Vec<Vec<String>>) {
        self.cases += 1;
        self.steps += steps.len();
        let stands = |line: &String| !self.is_excepted(line);
        let whole = !steps.iter().flatten().any(stands);
        self.whole += usize::from(whole);
        for (index, found) in steps.into_iter().enumerate() {
            let before = found.len();
            let found: Vec<String> = found.into_iter().filter(|line| !self.is_excepted(line)).collect();
            self.excepted += usize::from(found.is_empty() && before > 0);
            if found.is_empty() {
                self.agreed += 1;
            } else {
                let name = case["name"].as_str().unwrap();
                self.differences.push(format!("{name} step {index}:\n  {}", found.join("\n  ")));
            }
        }
    }

    /// Says how much agrees and what differs first; at least `floor` steps must agree. Raise it whenever more do.
    pub fn finish(self, file: &str, floor: usize) {
        let Self { steps, agreed, cases, whole, differences, exceptions, excepted, races } = self;
        let mut text = format!("{file} agree {agreed} of {steps} steps, {whole} of {cases} cases whole");
        if excepted > 0 {
            let why: Vec<&str> = exceptions.iter().map(|exception| exception.why.as_str()).collect();
            text.push_str(&format!("\n  of these {excepted} but for an exception: {}", why.join("; ")));
        }
        if races > 0 {
            text.push_str(&format!("\n  of these {races} but for a race: {RACES}"));
        }
        let shown = if only().is_some() { differences.len() } else { SHOWN };
        for difference in differences.iter().take(shown) {
            text.push('\n');
            text.push_str(difference);
        }
        say(&text);
        let judged = only().is_none() && other_directory().is_none();
        assert!(!judged || agreed >= floor, "{file}: {agreed} steps agree, and {floor} did before");
    }
}

/// Past the test harness, which keeps what `print!` says of tests that pass. The line begins on its own, whatever
/// the harness has begun to say.
fn say(text: &str) {
    std::io::stdout().lock().write_all(format!("\n{text}\n").as_bytes()).unwrap();
}
