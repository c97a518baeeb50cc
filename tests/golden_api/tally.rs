//! Reads a golden file, compares each case's answers, prints the count, and holds the floor.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::check::Check;
use crate::compare::{difference, difference_unordered};
use crate::exceptions::Exceptions;

pub struct Tally {
    file: &'static str,
    exceptions: Exceptions,
    agree: usize,
    /// Cases that agree but for an exception, with its reason.
    excepted: Vec<String>,
    differ: Vec<String>,
}

/// Replays every case of a file, and refuses to have become worse than `floor`.
pub async fn replay_all<F>(file: &'static str, floor: usize, mut replay: impl FnMut(Value) -> F)
where
    F: Future<Output = Result<Vec<Check>, String>>,
{
    let own = std::env::var_os("GOLDEN_API_DIR").is_none();
    let mut tally = Tally { file, exceptions: Exceptions::read(), agree: 0, excepted: Vec::new(), differ: Vec::new() };
    for case in cases(file) {
        let name = case["name"].as_str().unwrap_or("?").to_owned();
        let replayed = replay(case).await;
        tally.judge(&name, replayed);
    }
    tally.print();
    assert!(!own || tally.agree >= floor, "{file}: {} cases agree; {floor} did before", tally.agree);
}

pub fn cases(file: &str) -> Vec<Value> {
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden-api");
    let folder = std::env::var_os("GOLDEN_API_DIR").map_or_else(|| PathBuf::from(built_in), PathBuf::from);
    let text = std::fs::read_to_string(folder.join(file)).expect("the golden file is there");
    serde_json::from_str(&text).expect("the golden file is JSON")
}

impl Tally {
    fn judge(&mut self, name: &str, replayed: Result<Vec<Check>, String>) {
        let checks = match replayed {
            Ok(checks) => checks,
            Err(how) => return self.differ.push(format!("{name}: {how}")),
        };
        let Some(how) = checks.iter().find_map(differs) else {
            self.agree += 1;
            return;
        };
        let exceptions: Vec<_> = self.exceptions.of(name).collect();
        let stripped = checks.into_iter().map(|mut check| {
            for exception in &exceptions {
                exception.strip(&mut check.want);
                exception.strip(&mut check.got);
            }
            check
        });
        match (exceptions.is_empty(), stripped.collect::<Vec<_>>().iter().find_map(differs)) {
            (true, _) => self.differ.push(format!("{name}: {how}")),
            (false, Some(how)) => self.differ.push(format!("{name}: {how}")),
            (false, None) => {
                self.agree += 1;
                let reasons: Vec<&str> = exceptions.iter().map(|e| e.reason.as_str()).collect();
                self.excepted.push(format!("{name}: {}", reasons.join("; ")));
            }
        }
    }

    /// Written to the process's output itself, which the test harness shows even of tests that pass.
    fn print(&self) {
        let total = self.agree + self.differ.len();
        // The harness may be in the middle of a line.
        let mut text = format!("\n{} agree {} of {total}\n", self.file, self.agree);
        if !self.excepted.is_empty() {
            text += &format!("    {} of them but for an exception\n", self.excepted.len());
        }
        let named = std::env::var("GOLDEN_CASE").ok();
        let show = std::env::var("GOLDEN_SHOW").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
        let limit = if named.is_some() { usize::MAX } else { show };
        let wanted = |line: &&String| named.as_ref().is_none_or(|text| line.contains(text));
        for line in self.differ.iter().filter(wanted).take(limit) {
            text += &format!("    {}\n", line.chars().take(1200).collect::<String>());
        }
        if named.is_some() {
            let of = self.excepted.iter().filter(wanted).map(|line| format!("    excepted: {line}\n"));
            text += &of.collect::<String>();
        }
        std::io::stdout().write_all(text.as_bytes()).expect("the output can be written to");
    }
}

fn differs(check: &Check) -> Option<String> {
    let compare = if check.unordered { difference_unordered } else { difference };
    let how = compare(&check.want, &check.got)?;
    // What a refusal says tells more than that there is one.
    let told = |answer: &Value| format!("{} {}", answer["status"], answer["body"]["message"]);
    let statuses = match check.want["status"] == check.got["status"] {
        true => String::new(),
        false => format!("\n      want {}\n      got  {}", told(&check.want), told(&check.got)),
    };
    Some(format!("{}{how}{statuses}", check.place))
}
