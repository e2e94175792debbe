//! The one minijinja environment: what an expression can do is exactly what is listed here.
//!
//! No loader, no auto-escape, no globals but `range`.

use super::filters;
use crate::text::wildcard;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, tests};
use std::fmt::{self, Write};
use std::sync::LazyLock;

pub(super) static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(engine);

/// Instructions of one evaluation. There are no loops, so only a very long expression needs many.
const FUEL: u64 = 50_000;
/// Values in a list that `range` makes.
const MAX_RANGE: usize = 10_000;
/// Values within a value that comes out of an expression; shared parts count each time.
const MAX_VALUES: usize = 500_000;
/// Bytes of text in a value that comes out of an expression.
const MAX_TEXT: usize = 16 << 20;

pub(super) const TESTS: [&str; 34] = [
    "defined",
    "undefined",
    "none",
    "boolean",
    "true",
    "false",
    "number",
    "integer",
    "int",
    "float",
    "odd",
    "even",
    "divisibleby",
    "string",
    "sequence",
    "iterable",
    "mapping",
    "startingwith",
    "endingwith",
    "lower",
    "upper",
    "sameas",
    "eq",
    "equalto",
    "ne",
    "lt",
    "lessthan",
    "le",
    "gt",
    "greaterthan",
    "ge",
    "in",
    "like",
    "==",
];

pub(super) const FUNCTIONS: [&str; 1] = ["range"];

fn engine() -> Environment<'static> {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_debug(true);
    engine.set_fuel(Some(FUEL));
    filters::register(&mut engine);
    register_tests(&mut engine);
    engine.add_function("range", range);
    engine
}

fn register_tests(engine: &mut Environment<'static>) {
    engine.add_test("defined", tests::is_defined);
    engine.add_test("undefined", tests::is_undefined);
    engine.add_test("none", tests::is_none);
    engine.add_test("boolean", tests::is_boolean);
    engine.add_test("true", tests::is_true);
    engine.add_test("false", tests::is_false);
    engine.add_test("number", tests::is_number);
    engine.add_test("integer", tests::is_integer);
    engine.add_test("int", tests::is_integer);
    engine.add_test("float", tests::is_float);
    engine.add_test("odd", tests::is_odd);
    engine.add_test("even", tests::is_even);
    engine.add_test("divisibleby", tests::is_divisibleby);
    engine.add_test("string", tests::is_string);
    engine.add_test("sequence", tests::is_sequence);
    engine.add_test("iterable", tests::is_iterable);
    engine.add_test("mapping", tests::is_mapping);
    engine.add_test("startingwith", tests::is_startingwith);
    engine.add_test("endingwith", tests::is_endingwith);
    engine.add_test("lower", tests::is_lower);
    engine.add_test("upper", tests::is_upper);
    engine.add_test("sameas", tests::is_sameas);
    for name in ["eq", "equalto", "=="] {
        engine.add_test(name, tests::is_eq);
    }
    engine.add_test("ne", tests::is_ne);
    for name in ["lt", "lessthan"] {
        engine.add_test(name, tests::is_lt);
    }
    engine.add_test("le", tests::is_le);
    for name in ["gt", "greaterthan"] {
        engine.add_test(name, tests::is_gt);
    }
    engine.add_test("ge", tests::is_ge);
    engine.add_test("in", tests::is_in);
    engine.add_test("like", is_like);
}

/// Whether a text fits a pattern with `*` and `?`, without regard to case.
fn is_like(value: &Value, pattern: &str) -> bool {
    let text = value.as_str().unwrap_or_default();
    wildcard::fits(&pattern.to_lowercase(), &text.to_lowercase())
}

fn range(from: i64, to: Option<i64>, step: Option<i64>) -> Result<Vec<i64>, Error> {
    let (from, to) = to.map_or((0, from), |to| (from, to));
    let step = step.unwrap_or(1);
    let refuse = |why: &'static str| Err(Error::new(ErrorKind::InvalidOperation, why));
    let Ok(stride) = usize::try_from(step.unsigned_abs()) else {
        return refuse("the step of a range is too large");
    };
    if stride == 0 {
        return refuse("a range cannot have steps of 0");
    }
    let span = if step > 0 {
        to.saturating_sub(from)
    } else {
        from.saturating_sub(to)
    };
    let count = usize::try_from(span.max(0))
        .unwrap_or(usize::MAX)
        .div_ceil(stride);
    if count > MAX_RANGE {
        return refuse("a range has at most 10,000 numbers");
    }
    let mut numbers = Vec::with_capacity(count);
    let mut next = from;
    for _ in 0..count {
        numbers.push(next);
        next = next.saturating_add(step);
    }
    Ok(numbers)
}

/// The value is too large to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// A value as text: booleans as `true` and `false`, lists and maps as JSON.
pub(super) fn write_text(value: &Value, limit: usize, out: &mut String) -> Result<(), TooLarge> {
    let mut out = Capped { out, limit };
    match (value.as_str(), bool::try_from(value.clone())) {
        (Some(text), _) => out.write_str(text),
        (None, Ok(truth)) => write!(out, "{truth}"),
        _ if value.is_number() => write!(out, "{value}"),
        _ => write_json(value, &mut out),
    }
    .map_err(|_| TooLarge)
}

/// A value as JSON.
pub(super) fn write_json_text(
    value: &Value,
    limit: usize,
    out: &mut String,
) -> Result<(), TooLarge> {
    write_json(value, &mut Capped { out, limit }).map_err(|_| TooLarge)
}

fn write_json(value: &Value, out: &mut Capped<'_>) -> fmt::Result {
    serde_json::to_writer(Bytes(out), value).map_err(|_| fmt::Error)
}

/// A string that takes no more than its limit.
struct Capped<'a> {
    out: &'a mut String,
    limit: usize,
}

impl Write for Capped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.out.len() + text.len() > self.limit {
            return Err(fmt::Error);
        }
        self.out.push_str(text);
        Ok(())
    }
}

/// `serde_json` writes bytes, always whole characters.
struct Bytes<'a, 'b>(&'a mut Capped<'b>);

impl std::io::Write for Bytes<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(std::io::Error::other)?;
        self.0.write_str(text).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Refuses values that would be huge when written out, such as a list of lists of the same list.
pub(super) fn measure(value: &Value) -> Result<(), TooLarge> {
    let mut values = MAX_VALUES;
    let mut text = MAX_TEXT;
    let mut open = vec![value.clone()];
    while let Some(value) = open.pop() {
        values = values.checked_sub(1).ok_or(TooLarge)?;
        if let Some(part) = value.as_str() {
            text = text.checked_sub(part.len()).ok_or(TooLarge)?;
        } else if let Some(object) = value.as_object() {
            for (key, item) in object.try_iter_pairs().into_iter().flatten() {
                open.push(key);
                open.push(item);
                if open.len() > values {
                    return Err(TooLarge);
                }
            }
        }
    }
    Ok(())
}
