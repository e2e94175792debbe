//! What an expression refers to and what is wrong with it, from its syntax tree, before it runs.
//!
//! The only user of minijinja's unstable machinery.

use super::{engine, filters, intact};
use crate::text::diagnostic::Code;
use crate::text::words::suggest;
use minijinja::Value;
use minijinja::machinery::ast::{BinOpKind, Call, CallArg, Expr, UnaryOpKind};
use minijinja::machinery::{Span, parse_expr};
use std::collections::BTreeSet;
use std::ops::Range;

/// A name with its attributes, where it stands in the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one name"
)]
pub(super) struct Path {
    pub(super) parts: Vec<String>,
    pub(super) range: Range<usize>,
    /// Under `is defined` or `default`: it may be missing.
    pub(super) guarded: bool,
    /// Its text may be part of the result as it is.
    pub(super) verbatim: bool,
    /// It is the whole expression.
    pub(super) whole: bool,
    /// Its text comes out whole, as it is or quoted, or only a yes or no does.
    pub(super) intact: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) range: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Analysis<'a> {
    source: &'a str,
    pub(super) paths: Vec<Path>,
    pub(super) problems: Vec<Problem>,
}

/// Reads an expression; one that cannot be parsed has one problem and no paths.
pub(super) fn analyse(source: &str) -> Analysis<'_> {
    let mut analysis = Analysis {
        source,
        ..Analysis::default()
    };
    match parse_expr(source) {
        Ok(tree) => {
            analysis.walk(&tree, false);
            let whole = path(&tree).is_some();
            let mut verbatim = BTreeSet::new();
            flow(&tree, &mut verbatim);
            let intact = intact::starts(&tree);
            for path in &mut analysis.paths {
                path.verbatim = verbatim.contains(&path.range.start);
                path.whole = whole;
                path.intact = intact.contains(&path.range.start);
            }
        }
        Err(error) => {
            let range = error.range().unwrap_or(0..source.len());
            let compares = source.get(range.clone()) == Some("=");
            let detail = error.detail().unwrap_or("it is not an expression");
            analysis.problem(
                Code::TemplateSyntax,
                range,
                format!("cannot read this expression: {detail}"),
                compares.then(|| "two values are compared with ==".into()),
            );
        }
    }
    analysis
}

impl Analysis<'_> {
    fn walk(&mut self, expr: &Expr<'_>, guarded: bool) {
        if let Some((start, parts)) = path(expr) {
            let end = expr.span().end_offset as usize;
            let range = start..end.max(start);
            self.paths.push(Path {
                parts,
                range,
                guarded,
                verbatim: false,
                whole: false,
                intact: false,
            });
            return;
        }
        match expr {
            Expr::Var(_) => {}
            Expr::Const(constant) => self.constant(&constant.value, range(constant.span())),
            Expr::Slice(slice) => {
                self.walk(&slice.expr, guarded);
                for part in [&slice.start, &slice.stop, &slice.step]
                    .into_iter()
                    .flatten()
                {
                    self.walk(part, false);
                }
            }
            Expr::UnaryOp(op) => self.walk(&op.expr, guarded),
            Expr::BinOp(op) => {
                if matches!(op.op, BinOpKind::Mul) {
                    self.numbers_only(&op.left);
                    self.numbers_only(&op.right);
                }
                self.walk(&op.left, false);
                self.walk(&op.right, false);
            }
            Expr::Compare(compare) => {
                self.walk(&compare.expr, false);
                for op in &compare.ops {
                    self.walk(&op.expr, false);
                }
            }
            Expr::IfExpr(choice) => {
                self.walk(&choice.test_expr, false);
                self.walk(&choice.true_expr, guarded);
                if let Some(other) = &choice.false_expr {
                    self.walk(other, guarded);
                }
            }
            Expr::Filter(filter) => {
                self.known(
                    filter.name,
                    leading(filter.name, filter.span()),
                    "filter",
                    &filters::NAMES,
                );
                self.named_within(filter.name, &filter.args);
                if let Some(input) = &filter.expr {
                    self.walk(input, matches!(filter.name, "default" | "d"));
                }
                self.args(&filter.args);
            }
            Expr::Test(test) => {
                self.known(
                    test.name,
                    leading(test.name, test.span()),
                    "test",
                    &engine::TESTS,
                );
                self.walk(&test.expr, matches!(test.name, "defined" | "undefined"));
                self.args(&test.args);
            }
            Expr::GetAttr(attr) => self.walk(&attr.expr, guarded),
            Expr::GetItem(item) => {
                self.walk(&item.expr, guarded);
                self.walk(&item.subscript_expr, false);
            }
            Expr::Call(call) => {
                self.call(call, expr.span());
                self.args(&call.args);
            }
            Expr::List(list) => self.all(&list.items),
            Expr::Tuple(tuple) => self.all(&tuple.items),
            Expr::Map(map) => {
                self.all(&map.keys);
                self.all(&map.values);
            }
        }
    }

    /// Strings of expressions have escapes, and paths have backslashes.
    fn constant(&mut self, value: &Value, range: Range<usize>) {
        let written = self.source.get(range.clone()).unwrap_or_default();
        let Some(text) = value.as_str() else {
            return;
        };
        if written.contains(":\\") && text.contains(char::is_control) {
            self.problem(
                Code::Trap,
                range,
                "a backslash in a string of an expression begins an escape".to_owned(),
                Some("double every backslash".to_owned()),
            );
        }
    }

    fn all(&mut self, items: &[Expr<'_>]) {
        for item in items {
            self.walk(item, false);
        }
    }

    fn args(&mut self, args: &[CallArg<'_>]) {
        for arg in args {
            self.walk(value(arg), false);
        }
    }

    fn call(&mut self, call: &Call<'_>, span: Span) {
        let name = match &call.expr {
            Expr::Var(function) => {
                return self.known(
                    function.id,
                    range(function.span()),
                    "function",
                    &engine::FUNCTIONS,
                );
            }
            Expr::GetAttr(method) => {
                self.walk(&method.expr, false);
                method.name
            }
            other => {
                self.walk(other, false);
                ""
            }
        };
        let filter = suggest(name, &filters::NAMES);
        self.problem(
            Code::TemplateSyntax,
            range(span),
            "values have no methods".to_owned(),
            filter.map(|filter| format!("use a filter: … | {filter}")),
        );
    }

    /// `map('upper')` and `select('odd')` name a filter and a test.
    fn named_within(&mut self, filter: &str, args: &[CallArg<'_>]) {
        let (at, what, names): (usize, _, &[&str]) = match filter {
            "map" => (0, "filter", &filters::NAMES),
            "select" | "reject" => (0, "test", &engine::TESTS),
            "selectattr" | "rejectattr" => (1, "test", &engine::TESTS),
            _ => return,
        };
        if let Some(CallArg::Pos(Expr::Const(name))) = args.get(at)
            && let Some(text) = name.value.as_str()
        {
            self.known(text, range(name.span()), what, names);
        }
    }

    fn known(&mut self, name: &str, range: Range<usize>, what: &str, names: &[&str]) {
        if names.contains(&name) {
            return;
        }
        let help =
            suggest(name, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        self.problem(
            Code::UndefinedFilter,
            range,
            format!("there is no {what} `{name}`"),
            help,
        );
    }

    /// With text or lists `*` repeats, and a few characters could ask for gigabytes.
    fn numbers_only(&mut self, operand: &Expr<'_>) {
        if !is_number(operand) {
            self.problem(
                Code::TemplateSyntax,
                range(operand.span()),
                "`*` needs numbers on both sides".to_owned(),
                Some("make it one: (… | int)".to_owned()),
            );
        }
    }

    fn problem(&mut self, code: Code, range: Range<usize>, message: String, help: Option<String>) {
        self.problems.push(Problem {
            code,
            range,
            message,
            help,
        });
    }
}

/// `a.b["c"]` as its parts; `None` for everything else.
pub(super) fn path(expr: &Expr<'_>) -> Option<(usize, Vec<String>)> {
    match expr {
        Expr::Var(var) => Some((var.span().start_offset as usize, vec![var.id.to_owned()])),
        Expr::GetAttr(attr) => {
            let (start, mut parts) = path(&attr.expr)?;
            parts.push(attr.name.to_owned());
            Some((start, parts))
        }
        Expr::GetItem(item) => {
            let Expr::Const(subscript) = &item.subscript_expr else {
                return None;
            };
            let name = subscript.value.as_str()?.to_owned();
            let (start, mut parts) = path(&item.expr)?;
            parts.push(name);
            Some((start, parts))
        }
        _ => None,
    }
}

/// Where the names begin whose text may come out as it is: no quoting filter, no number and no yes or
/// no stands between.
fn flow(expr: &Expr<'_>, out: &mut BTreeSet<usize>) {
    if let Some((start, _)) = path(expr) {
        out.insert(start);
        return;
    }
    if is_number(expr) {
        return;
    }
    match expr {
        Expr::Var(_) | Expr::Const(_) | Expr::UnaryOp(_) | Expr::Compare(_) | Expr::Test(_) => {}
        Expr::Slice(slice) => flow(&slice.expr, out),
        Expr::GetAttr(attr) => flow(&attr.expr, out),
        Expr::GetItem(item) => flow(&item.expr, out),
        Expr::BinOp(op) => {
            if matches!(
                op.op,
                BinOpKind::ScAnd | BinOpKind::ScOr | BinOpKind::Add | BinOpKind::Concat
            ) {
                flow(&op.left, out);
                flow(&op.right, out);
            }
        }
        Expr::IfExpr(choice) => {
            flow(&choice.true_expr, out);
            if let Some(other) = &choice.false_expr {
                flow(other, out);
            }
        }
        Expr::Filter(filter) => {
            let mapped = filter.args.first().and_then(|arg| match arg {
                CallArg::Pos(Expr::Const(name)) if filter.name == "map" => name.value.as_str(),
                _ => None,
            });
            if !QUOTES.contains(&mapped.unwrap_or(filter.name)) {
                filter.expr.iter().for_each(|input| flow(input, out));
                filter.args.iter().for_each(|arg| flow(value(arg), out));
            }
        }
        Expr::Call(call) => call.args.iter().for_each(|arg| flow(value(arg), out)),
        Expr::List(list) => list.items.iter().for_each(|item| flow(item, out)),
        Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| flow(item, out)),
        Expr::Map(map) => map
            .keys
            .iter()
            .chain(&map.values)
            .for_each(|item| flow(item, out)),
    }
}

/// Filters that make text harmless in a command line.
pub(super) const QUOTES: [&str; 3] = ["cmd_quote", "ps_quote", "sh_quote"];

fn is_number(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Const(constant) => constant.value.is_number(),
        Expr::UnaryOp(op) => matches!(op.op, UnaryOpKind::Neg) && is_number(&op.expr),
        Expr::BinOp(op) => match op.op {
            BinOpKind::Add => is_number(&op.left) && is_number(&op.right),
            BinOpKind::Sub
            | BinOpKind::Mul
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem
            | BinOpKind::Pow => true,
            _ => false,
        },
        Expr::Filter(filter) => matches!(
            filter.name,
            "int" | "float" | "length" | "count" | "abs" | "round"
        ),
        Expr::IfExpr(choice) => {
            is_number(&choice.true_expr) && choice.false_expr.as_ref().is_some_and(is_number)
        }
        _ => false,
    }
}

fn value<'a, 'b>(arg: &'b CallArg<'a>) -> &'b Expr<'a> {
    match arg {
        CallArg::Pos(expr)
        | CallArg::Kwarg(_, expr)
        | CallArg::PosSplat(expr)
        | CallArg::KwargSplat(expr) => expr,
    }
}

/// The name alone: the span of a filter or test covers its arguments too.
fn leading(name: &str, span: Span) -> Range<usize> {
    let range = range(span);
    range.start..range.end.min(range.start + name.len())
}

fn range(span: Span) -> Range<usize> {
    let start = span.start_offset as usize;
    start..(span.end_offset as usize).max(start)
}
