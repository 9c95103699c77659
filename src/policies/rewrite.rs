//! Parts of checked expressions in the form in which `cel` evaluates them fast, and counted.

use cel::IdedExpr as Expression;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

/// The variable with what an evaluation may still cost.
pub(super) const FUEL: &str = "@fuel";

/// `a.b` as `a["b"]`, which is the same for records and maps: `cel` looks names with dots up in several ways first.
pub(super) fn index_instead(expr: &mut Expression) {
    if let Expr::Select(select) = &mut expr.expr {
        let of = std::mem::take(&mut *select.operand);
        let field = LiteralValue::String(std::mem::take(&mut select.field).into());
        let field = Expression { id: expr.id, expr: Expr::Literal(field) };
        let (func_name, args) = (operators::INDEX.to_owned(), vec![of, field]);
        expr.expr = Expr::Call(CallExpr { func_name, target: None, args });
    }
}

/// `!a` as `a == false`, which is the same for a boolean: for `!`, `cel` prepares an error at each evaluation.
pub(super) fn compare_instead(call: &mut CallExpr) {
    let id = call.args[0].id;
    operators::EQUALS.clone_into(&mut call.func_name);
    call.args.push(Expression { id, expr: Expr::Literal(LiteralValue::Boolean(false.into())) });
}

/// Makes `expr` an argument of the counting function `name`.
pub(super) fn wrap(expr: &mut Expression, name: &str, weight: Option<LiteralValue>) {
    let inner = std::mem::take(expr);
    let of = |expr| Expression { id: inner.id, expr };
    let fuel = of(Expr::Ident(FUEL.to_owned()));
    let weight = weight.map(|weight| of(Expr::Literal(weight)));
    let id = inner.id;
    let args = std::iter::once(inner).chain(weight).chain([fuel]).collect();
    *expr = Expression { id, expr: Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }) };
}
