//! Probes and life-cycle hooks.

use serde_json::Value;

use super::field::{Findings, Path, list, text};
use super::format;

pub fn lifecycle(container: &Value, at: Path<'_>, grace: i64, found: &mut Findings) {
    let lifecycle = &container["lifecycle"];
    for hook in ["postStart", "preStop"] {
        if lifecycle[hook].is_object() {
            handler(&lifecycle[hook], at.child(hook), grace, found);
        }
    }
}

pub fn probes(container: &Value, at: Path<'_>, grace: i64, found: &mut Findings) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let given = &container[name];
        if !given.is_object() {
            continue;
        }
        let at = at.child(name);
        handler(given, at, grace, found);
        let counts = ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
        for field in counts {
            found.not_negative(at.child(field), &given[field]);
        }
        let seconds = &given["terminationGracePeriodSeconds"];
        let seconds_at = at.child("terminationGracePeriodSeconds");
        if seconds.as_i64().is_some_and(|seconds| seconds <= 0) {
            found.invalid(seconds_at, seconds, "must be greater than 0");
        }
        if name == "readinessProbe" {
            if !seconds.is_null() {
                found.invalid(seconds_at, seconds, "must not be set for readinessProbes");
            }
        } else if given["successThreshold"].as_i64().is_some_and(|count| count != 1) {
            found.invalid(at.child("successThreshold"), &given["successThreshold"], "must be 1");
        }
    }
}

/// What is done: exactly one thing.
fn handler(handler: &Value, at: Path<'_>, grace: i64, found: &mut Findings) {
    let mut count = 0;
    for name in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let given = &handler[name];
        if !given.is_object() {
            continue;
        }
        count += 1;
        let at = at.child(name);
        if count > 1 {
            found.forbidden(at, "may not specify more than 1 handler type");
            continue;
        }
        match name {
            "exec" if list(given, "command").is_empty() => found.required(at.child("command"), ""),
            "httpGet" => http_get(given, at, found),
            "tcpSocket" | "grpc" => port(&given["port"], at.child("port"), found),
            "sleep" => {
                let seconds = given["seconds"].as_i64().unwrap_or(0);
                if seconds < 0 || seconds > grace {
                    let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                    found.invalid_shown(at, &seconds.to_string(), why);
                }
            }
            _ => {}
        }
    }
    if count == 0 {
        found.required(at, "must specify a handler type");
    }
}

fn http_get(get: &Value, at: Path<'_>, found: &mut Findings) {
    if text(get, "path").is_empty() {
        found.required(at.child("path"), "");
    }
    port(&get["port"], at.child("port"), found);
    found.one_of(at.child("scheme"), &get["scheme"], &["HTTP", "HTTPS"]);
    for header in list(get, "httpHeaders") {
        let name = text(header, "name");
        found.complain(at.child("httpHeaders"), name, format::header(name));
    }
}

/// A port by its number or by its name.
fn port(port: &Value, at: Path<'_>, found: &mut Findings) {
    match port.as_str() {
        Some(name) => found.complain(at, name, format::port_name(name)),
        None => {
            let number = port.as_i64().unwrap_or(0);
            if !(1..=65_535).contains(&number) {
                found.invalid_shown(at, &number.to_string(), format::PORT);
            }
        }
    }
}
