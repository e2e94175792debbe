//! Which names come out of an expression whole, so that a text can be recognised wherever it turns up.
//!
//! What is not listed here changes its text as far as we know. A yes or no says nothing of a text, as
//! long as nothing on the way to it could fail and quote half of it.

use super::syntax::{QUOTES, path};
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, UnaryOpKind};
use std::collections::BTreeSet;

/// Where the names begin that come out whole or not at all. A name that stands in two places of an
/// expression has two beginnings.
pub(super) fn starts(tree: &Expr<'_>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    value(tree, &mut found);
    found
}

/// The expression's value may hold the text.
fn value(expr: &Expr<'_>, out: &mut BTreeSet<usize>) {
    if let Some((start, _)) = path(expr) {
        out.insert(start);
        return;
    }
    match expr {
        Expr::BinOp(op) if joins(op.op) => {
            value(&op.left, out);
            value(&op.right, out);
        }
        Expr::IfExpr(choice) => {
            truth(&choice.test_expr, out);
            value(&choice.true_expr, out);
            choice.false_expr.iter().for_each(|other| value(other, out));
        }
        Expr::Filter(filter) if QUOTES.contains(&filter.name) => {
            filter.expr.iter().for_each(|input| value(input, out));
        }
        Expr::Filter(filter) if matches!(filter.name, "default" | "d") => {
            filter.expr.iter().for_each(|input| value(input, out));
            for arg in &filter.args {
                if let CallArg::Pos(other) = arg {
                    value(other, out);
                }
            }
        }
        other => truth(other, out),
    }
}

/// Only a yes or no comes of the expression.
fn truth(expr: &Expr<'_>, out: &mut BTreeSet<usize>) {
    match expr {
        Expr::UnaryOp(op) if matches!(op.op, UnaryOpKind::Not) => value(&op.expr, out),
        Expr::Compare(compare) => {
            value(&compare.expr, out);
            compare.ops.iter().for_each(|op| value(&op.expr, out));
        }
        Expr::BinOp(op)
            if matches!(
                op.op,
                BinOpKind::ScAnd | BinOpKind::ScOr | BinOpKind::Eq | BinOpKind::Ne | BinOpKind::In
            ) =>
        {
            value(&op.left, out);
            value(&op.right, out);
        }
        Expr::Test(test) => {
            value(&test.expr, out);
            for arg in &test.args {
                if let CallArg::Pos(other) = arg {
                    value(other, out);
                }
            }
        }
        _ => {
            if let Some((start, _)) = path(expr) {
                out.insert(start);
            }
        }
    }
}

const fn joins(op: BinOpKind) -> bool {
    matches!(
        op,
        BinOpKind::Concat | BinOpKind::Add | BinOpKind::ScAnd | BinOpKind::ScOr
    )
}

#[cfg(test)]
mod tests {
    use super::super::syntax::analyse;

    #[test]
    fn what_comes_out_whole() {
        let table = [
            ("s", true),
            ("s | ps_quote", true),
            ("('p=' ~ s) | sh_quote", true),
            ("'x' if s else 'y'", true),
            ("s if a is defined else 'y'", true),
            ("s | default('none')", true),
            ("a | default(s)", true),
            ("s == 'x' and not s", true),
            ("s is defined", true),
            ("s in a.stdout", true),
            ("s | upper", false),
            ("s | upper | ps_quote", false),
            ("(s | trim) == 'x'", false),
            ("s[1:]", false),
            ("a[s]", false),
            ("s | length", false),
            ("a | replace('x', s)", false),
            ("[s]", false),
            ("s ~ (s | lower)", false),
            ("[1, 2] | join(s)", false),
            ("-s", false),
        ];
        for (source, expected) in table {
            let paths = analyse(source).paths;
            let all = paths.iter().filter(|path| path.parts == ["s"]);
            assert_eq!(all.clone().all(|path| path.intact), expected, "{source}");
            assert!(all.count() > 0, "{source}");
        }
    }
}
